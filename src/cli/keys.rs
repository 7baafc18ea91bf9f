//! `asynapse keys`: makes what a run on several hosts needs to let nobody else in. Also here: how coordinator and worker are told
//! where their keys are, by the names of files; nothing secret is ever on a command line.

use std::path::{Path, PathBuf};

use super::{Failure, complain, say};
use crate::process::endpoint::Endpoint;
use crate::process::issue::{Keys, issue};
use crate::process::key;
use crate::process::tls::{Files, Identity};
use crate::wire::handshake::Secret;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every host needs the folder: on a shared file system it is there, else copy it (scp -rp DIR host:).
Whoever has it can take part in the run. It is good for a year; make a new one for every run if in doubt.

Example:
  asynapse keys run-keys
  asynapse coordinator --listen tcp:node1:7400 --keys run-keys mnist data.dir=FOLDER workers=2
  asynapse worker --join tcp:node1:7400 --keys run-keys          on every host"
)]
pub(super) struct Arguments {
    /// A new folder for them; only its owner will be able to open it
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { folder } = arguments;
    issue(&folder).map_err(|error| Failure::input(format!("keys: {error}")))?;
    complain(format_args!("a secret and a certificate for one run, for its owner only; give --keys on every host"));
    say(folder.display());
    Ok(())
}

/// Which keys a process uses.
#[derive(Debug, clap::Args)]
pub(super) struct Chosen {
    /// The folder that `asynapse keys` made: with tcp: everything is encrypted and certificates are asked for
    #[arg(long, value_name = "DIR", conflicts_with_all = ["secret_file", "tls_cert", "tls_key", "tls_ca"])]
    keys: Option<PathBuf>,
    /// The file with the secret of the run, which only its owner may read, if not from --keys
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// A certificate for the name `asynapse`, in PEM, if not from --keys; needed where other machines can call
    #[arg(long, value_name = "FILE", requires = "tls_key", requires = "tls_ca")]
    tls_cert: Option<PathBuf>,
    /// Its private key, in PEM, which only its owner may read
    #[arg(long, value_name = "FILE", requires = "tls_cert", requires = "tls_ca")]
    tls_key: Option<PathBuf>,
    /// Who has signed the certificates of this run, in PEM: an authority that signs for nobody else
    #[arg(long, value_name = "FILE", requires = "tls_cert", requires = "tls_key")]
    tls_ca: Option<PathBuf>,
}

/// What to do about a secret that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is made.
    Make,
    /// That is an error; `-` stands for standard input.
    Refuse,
}

impl Chosen {
    /// Whether anything was said about keys at all.
    pub(super) fn is_given(&self) -> bool {
        self.keys.is_some() || self.secret_file.is_some() || self.tls_cert.is_some()
    }

    /// The endpoint as it will be used, and the secret.
    pub(super) fn open(&self, endpoint: Endpoint, missing: Missing) -> Result<(Endpoint, Secret), Failure> {
        let folder = self.keys.as_deref().map(Keys::within);
        let own = match (&self.tls_cert, &self.tls_key, &self.tls_ca) {
            (Some(certificate), Some(key), Some(authority)) => Some(Files { certificate, key, authority }),
            _ => None,
        };
        // On a Unix socket the secret of the folder is enough: nobody else can open it.
        let of_folder = folder.as_ref().map(Keys::files).filter(|_| !matches!(endpoint, Endpoint::Unix(_)));
        let identity = own.or(of_folder).map(Identity::read).transpose().map_err(Failure::input)?;
        let endpoint = endpoint.secured(identity).map_err(Failure::input)?;
        let file = match (&folder, &self.secret_file) {
            (Some(folder), _) => return Ok((endpoint, key::read(&folder.secret).map_err(Failure::input)?)),
            (None, Some(file)) => file,
            (None, None) => {
                return Err(Failure::input(
                    "nobody takes part without a secret: give --keys DIR or --secret-file FILE",
                ));
            }
        };
        let secret = match missing {
            Missing::Make => key::make_or_read(file),
            Missing::Refuse if file == Path::new("-") => key::receive(&mut std::io::stdin().lock()),
            Missing::Refuse => key::read(file),
        };
        Ok((endpoint, secret.map_err(Failure::input)?))
    }

    /// The same choice, as another process is told it. Certificates of its own stay its own.
    pub(super) fn words(&self) -> String {
        match (&self.keys, &self.secret_file) {
            (Some(folder), _) => format!("--keys {}", folder.display()),
            (None, Some(file)) if self.tls_cert.is_some() => {
                format!("--secret-file {} --tls-cert … --tls-key … --tls-ca …", file.display())
            }
            (None, Some(file)) => format!("--secret-file {}", file.display()),
            (None, None) => String::new(),
        }
    }
}
