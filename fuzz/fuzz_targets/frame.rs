//! Any bytes as the header of a signal between neighbours.

#![no_main]

asynapse_fuzz::decoder!(frame);
