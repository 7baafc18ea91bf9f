//! The program. Everything is in the library; see `asynapse::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    asynapse::cli::main()
}
