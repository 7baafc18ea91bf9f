//! Any bytes as a checkpoint's `optimizer.safetensors`.

#![no_main]

asynapse_fuzz::decoder!(checkpoint_optimizer);
