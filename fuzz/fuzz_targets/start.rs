//! Any bytes as what is said before the first directive.

#![no_main]

asynapse_fuzz::decoder!(start);
