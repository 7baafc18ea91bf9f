//! Any bytes as the four messages of a handshake.

#![no_main]

asynapse_fuzz::decoder!(handshake);
