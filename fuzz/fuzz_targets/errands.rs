//! Any bytes as what a worker is asked in virtual time.

#![no_main]

asynapse_fuzz::decoder!(errands);
