//! Any bytes as a checkpoint's `model.safetensors`.

#![no_main]

asynapse_fuzz::decoder!(checkpoint_model);
