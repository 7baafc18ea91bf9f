//! Any bytes as a run's `events.log`.

#![no_main]

asynapse_fuzz::decoder!(event_log);
