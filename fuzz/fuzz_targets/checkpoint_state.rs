//! Any bytes as a checkpoint's `state.json`.

#![no_main]

asynapse_fuzz::decoder!(checkpoint_state);
