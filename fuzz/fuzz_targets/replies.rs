//! Any bytes as what a worker answers in virtual time.

#![no_main]

asynapse_fuzz::decoder!(replies);
