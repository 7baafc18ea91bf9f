//! Any bytes as a run's `meta.json`.

#![no_main]

asynapse_fuzz::decoder!(run_meta);
