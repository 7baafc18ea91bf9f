//! Any bytes as a `key=value` on the command line.

#![no_main]

asynapse_fuzz::decoder!(assignment);
