//! Any bytes as the stream of a link as a whole, through the receiving pump.

#![no_main]

asynapse_fuzz::decoder!(signals);
