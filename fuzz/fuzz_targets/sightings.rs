//! Any bytes as a worker's signs of life.

#![no_main]

asynapse_fuzz::decoder!(sightings);
