//! Any bytes as the file or pipe that holds the secret of a run.

#![no_main]

asynapse_fuzz::decoder!(secret);
