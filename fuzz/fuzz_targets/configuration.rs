//! Any bytes as a configuration file.

#![no_main]

asynapse_fuzz::decoder!(configuration);
