//! Image data sets in IDX format (MNIST, Fashion-MNIST, KMNIST): reading, downloading, verifying.
//!
//! Why it exists: an experiment is only worth repeating when everybody trains on the same bytes.
//! So the catalogue pins every file by SHA-256, and the reader refuses whatever it does not
//! understand instead of guessing.
//!
//! Where to go next: [`dataset`] makes minibatches, [`digits`] draws the embedded default, [`folder`] turns a folder into training and test data, [`idx`] reads one file,
//! [`catalogue`] lists the known data sets, [`fetch`] downloads one of them and [`verify`] checks a
//! copy. [`error`] holds everything that can go wrong, in sentences made for the person at the
//! terminal.

pub mod catalogue;
pub mod dataset;
mod digest;
pub mod digits;
mod download;
pub mod error;
pub mod fetch;
pub mod fetch_options;
pub mod folder;
pub mod idx;
pub mod idx_problem;
mod partial;
pub mod verify;
