//! Any bytes as heads of directives and tidings.

#![no_main]

asynapse_fuzz::decoder!(control_heads);
