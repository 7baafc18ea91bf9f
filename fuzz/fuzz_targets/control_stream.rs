//! Any bytes as a control connection as a whole, both ways.

#![no_main]

asynapse_fuzz::decoder!(control_stream);
