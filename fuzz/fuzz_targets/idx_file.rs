//! Any bytes as an IDX file of images or labels, raw or gzip.

#![no_main]

asynapse_fuzz::decoder!(idx_file);
