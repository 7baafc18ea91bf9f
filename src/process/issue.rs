//! Makes what a run on several hosts needs: a secret, an authority that signs one certificate, and that certificate.
//!
//! The authority's own private key is never written and is gone when this returns: nothing else can ever be signed by it. All
//! processes of the run show the same certificate; it says "one of this run", which is all that is asked.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use super::ProcessError;
use super::key::make_or_read;
use super::tls::{Files, NAME};

/// Clocks of hosts may differ by this.
const EARLIER: Duration = Duration::from_secs(24 * 3600);
/// A run takes no longer.
const VALID: Duration = Duration::from_secs(366 * 24 * 3600);

/// Where the keys of a run are, in one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The secret.
    pub secret: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    authority: PathBuf,
}

impl Keys {
    /// The names of the files in a folder.
    pub fn within(folder: &Path) -> Self {
        let file = |name| folder.join(name);
        Self {
            secret: file("secret"),
            certificate: file("certificate.pem"),
            key: file("key.pem"),
            authority: file("authority.pem"),
        }
    }

    /// Those for TLS.
    pub fn files(&self) -> Files<'_> {
        Files { certificate: &self.certificate, key: &self.key, authority: &self.authority }
    }
}

/// Makes the keys of a run in a new folder that only its owner can open.
pub fn issue(folder: &Path) -> Result<Keys, ProcessError> {
    let problem = |path: &Path, problem: String| ProcessError::Secret { path: path.to_owned(), problem };
    DirBuilder::new().mode(0o700).create(folder).map_err(|error| problem(folder, error.to_string()))?;
    let keys = Keys::within(folder);
    make_or_read(&keys.secret)?;
    let [authority, certificate, key] = certificates().map_err(|error| problem(folder, error.to_string()))?;
    for (path, text) in [(&keys.authority, authority), (&keys.certificate, certificate), (&keys.key, key)] {
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let written = opened.and_then(|mut file| file.write_all(text.as_bytes()).and(file.sync_all()));
        written.map_err(|error| problem(path, error.to_string()))?;
    }
    // The names are on the disk too before anybody is told of them.
    fs::File::open(folder).and_then(|open| open.sync_all()).map_err(|error| problem(folder, error.to_string()))?;
    Ok(keys)
}

/// The authority's certificate, the run's, and its private key, in PEM.
fn certificates() -> Result<[String; 3], rcgen::Error> {
    let now = SystemTime::now();
    let described = |what: &str, names: Vec<String>| {
        let mut about = CertificateParams::new(names)?;
        about.not_before = (now - EARLIER).into();
        about.not_after = (now + VALID).into();
        about.distinguished_name.push(DnType::CommonName, what);
        Ok::<_, rcgen::Error>(about)
    };
    let mut about = described("the authority of one Asynapse run", Vec::new())?;
    about.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    about.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate()?;
    let authority = about.self_signed(&key)?.pem();
    let issuer = Issuer::new(about, key);

    let mut about = described("one Asynapse run", vec![NAME.to_owned()])?;
    about.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    about.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    about.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    Ok([authority, about.signed_by(&key, &issuer)?.pem(), key.serialize_pem()])
}
