//! TLS 1.3 with certificates on both sides, for whatever leaves this machine.
//!
//! ```text
//! who may speak     a certificate that the authority of the run has signed, for the name `asynapse`, on both sides
//! bound to secret   key of the handshake = HMAC(secret, keying material exported from this connection)   RFC 5705, RFC 8446 § 7.5
//! ```
//!
//! The name is that of the program and not of a host: hosts of a cluster are handed out after the certificate was made, and what is
//! asked is not "which host" but "one of this run". Because the challenge and response of `crate::wire::handshake` depends on the
//! connection, somebody in between can not pass it on, whatever certificate they hold.
//!
//! No earlier version, no resumption, no early data. Read on: `socket`, which carries bytes over it; [`super::issue`].

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::ProcessError;
use super::key::only_ours;
use super::socket::{Movable, Secured, Socket};
use crate::engine::transport::Stream;

/// The name in every certificate of a run.
pub const NAME: &str = "asynapse";

/// What the keying material is for.
const LABEL: &[u8] = b"EXPORTER-asynapse-handshake";

/// Files of an identity, all PEM.
#[derive(Clone, Copy, Debug)]
pub struct Files<'f> {
    /// The certificate, and behind it those between it and the authority.
    pub certificate: &'f Path,
    /// Its private key, which only its owner may read.
    pub key: &'f Path,
    /// The authority that has signed the certificates of this run.
    pub authority: &'f Path,
}

/// What a process shows to others, and what it asks of them.
#[derive(Clone)]
pub struct Identity {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

/// One identity is another if it was read at the same time.
impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.acceptor.config(), other.acceptor.config())
    }
}

impl Eq for Identity {}

impl Identity {
    /// Reads an identity and checks that others of the run will accept it.
    pub fn read(files: Files<'_>) -> Result<Self, ProcessError> {
        let problem = |path: &Path, problem: String| ProcessError::Secret { path: path.to_owned(), problem };
        let chain = certificates(files.certificate)?;
        let mut authority = RootCertStore::empty();
        for root in certificates(files.authority)? {
            authority.add(root).map_err(|error| problem(files.authority, error.to_string()))?;
        }
        let authority = Arc::new(authority);
        let mut file = fs::File::open(files.key).map_err(|error| problem(files.key, error.to_string()))?;
        only_ours(&file).map_err(|what| problem(files.key, what))?;
        let key = PrivateKeyDer::from_pem_reader(&mut file)
            .map_err(|error| problem(files.key, format!("it holds no private key in PEM: {error}")))?;

        let refused = |error: Error| {
            let authority = files.authority.display();
            let what = format!(
                "others would refuse it: {error}; it has to be for the name `{NAME}`, both as server and as client, and signed by {authority}"
            );
            problem(files.certificate, what)
        };
        let provider = Arc::new(ring::default_provider());
        let servers = WebPkiServerVerifier::builder_with_provider(Arc::clone(&authority), Arc::clone(&provider))
            .build()
            .map_err(|error| problem(files.authority, error.to_string()))?;
        let clients = WebPkiClientVerifier::builder_with_provider(authority, Arc::clone(&provider))
            .build()
            .map_err(|error| problem(files.authority, error.to_string()))?;
        let now = UnixTime::now();
        servers.verify_server_cert(&chain[0], &chain[1..], &name(), &[], now).map_err(refused)?;
        clients.verify_client_cert(&chain[0], &chain[1..], now).map_err(refused)?;

        let unfit = |error: Error| problem(files.key, format!("it does not fit the certificate: {error}"));
        let mut host = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(unfit)?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(unfit)?;
        host.send_tls13_tickets = 0;
        let mut caller = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(unfit)?
            .with_webpki_verifier(servers)
            .with_client_auth_cert(chain, key)
            .map_err(unfit)?;
        caller.resumption = Resumption::disabled();
        Ok(Self { acceptor: Arc::new(host).into(), connector: Arc::new(caller).into() })
    }

    /// An encrypted stream to whoever has called here, without the handshake of a run: what a link is made of, to be measured.
    pub async fn host(&self, stream: TcpStream) -> io::Result<Stream> {
        self.accept(stream).await.map(|secured| Socket::Tls(secured).into())
    }

    /// The other end of [`Identity::host`].
    pub async fn call(&self, stream: TcpStream) -> io::Result<Stream> {
        self.connect(stream).await.map(|secured| Socket::Tls(secured).into())
    }

    /// The side that was called.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<Secured> {
        let stream = self.acceptor.accept(Movable::Here(stream)).await?;
        let binding = stream.get_ref().1.export_keying_material([0; 32], LABEL, None).map_err(io::Error::other)?;
        Ok(Secured { stream: Box::new(stream.into()), binding })
    }

    /// The calling side.
    pub(super) async fn connect(&self, stream: TcpStream) -> io::Result<Secured> {
        let stream = self.connector.connect(name(), Movable::Here(stream)).await?;
        let binding = stream.get_ref().1.export_keying_material([0; 32], LABEL, None).map_err(io::Error::other)?;
        Ok(Secured { stream: Box::new(stream.into()), binding })
    }
}

fn name() -> ServerName<'static> {
    ServerName::try_from(NAME).expect("a word is a name")
}

/// At least one certificate.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ProcessError> {
    let problem = |problem: String| ProcessError::Secret { path: path.to_owned(), problem };
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found {
        Ok(found) if found.is_empty() => Err(problem("it holds no certificate in PEM".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(problem(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::endpoint::{Endpoint, Listener};
    use super::super::issue::{Keys, issue};
    use super::super::reception::{Reception, answer, call};
    use super::*;
    use crate::wire::handshake::{Hello, Purpose, Secret, Verdict};

    const HELLO: Hello = Hello { purpose: Purpose::Control, run: [0; 16], generation: 0, caller: [1; 16], pid: 1 };

    fn identity(folder: &tempfile::TempDir, name: &str) -> (Keys, Identity) {
        let keys = issue(&folder.path().join(name)).expect("keys");
        let identity = Identity::read(keys.files()).expect("an identity");
        (keys, identity)
    }

    /// A host that welcomes whoever knows the secret, and where it is.
    async fn host(identity: &Identity, secret: &Secret) -> Endpoint {
        let anywhere = Endpoint::Tls(([127, 0, 0, 1], 0).into(), identity.clone());
        let listener = Listener::bind(&anywhere).await.expect("a port");
        let endpoint = listener.endpoint().expect("an address");
        let mut reception = Reception::new(listener, secret.clone());
        tokio::spawn(async move {
            while let Ok((_, mut socket)) = reception.next().await {
                let _ = answer(&mut socket, Verdict::Welcome).await;
            }
        });
        endpoint
    }

    #[tokio::test]
    async fn who_stands_in_between_can_pass_nothing_on_even_with_a_certificate() {
        let folder = tempfile::tempdir().expect("a folder");
        let (_, identity) = identity(&folder, "k");
        let secret = Secret::new([3; 32]);
        let host = host(&identity, &secret).await;
        call(&host, &secret, &HELLO).await.expect("without anybody in between");

        // It holds a valid certificate and decrypts and encrypts what it passes on, unchanged.
        let between = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let there = Endpoint::Tls(between.local_addr().expect("an address"), identity.clone());
        let Endpoint::Tls(address, own) = host else { unreachable!("a host has TLS") };
        tokio::spawn(async move {
            while let Ok((stream, _)) = between.accept().await {
                let mut near = own.accept(stream).await.expect("TLS on this side");
                let far = TcpStream::connect(address).await.expect("the host");
                let mut far = own.connect(far).await.expect("TLS on that side");
                let _ = tokio::io::copy_bidirectional(&mut near.stream, &mut far.stream).await;
            }
        });
        let refused = call(&there, &secret, &HELLO).await.err().expect("it is noticed").to_string();
        assert!(refused.contains("does not know the secret"), "{refused}");
    }

    #[tokio::test]
    async fn certificates_of_another_run_are_refused_on_both_sides() {
        let folder = tempfile::tempdir().expect("a folder");
        let ((ours, identity_of_ours), (theirs, identity_of_theirs)) =
            (identity(&folder, "ours"), identity(&folder, "theirs"));
        let secret = Secret::new([3; 32]);
        let host = host(&identity_of_ours, &secret).await;
        let Endpoint::Tls(address, _) = host.clone() else { unreachable!("a host has TLS") };
        // The caller does not accept the host, or the host does not accept the caller, who believes in it.
        let refused = call(&Endpoint::Tls(address, identity_of_theirs), &secret, &HELLO).await;
        assert!(refused.err().expect("another authority").to_string().contains("certificate"));
        let mut authority = RootCertStore::empty();
        authority.add_parsable_certificates(certificates(ours.files().authority).expect("PEM"));
        let key = PrivateKeyDer::from_pem_file(theirs.files().key).expect("PEM");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(authority)
            .with_client_auth_cert(certificates(theirs.files().certificate).expect("PEM"), key)
            .expect("they fit");
        let connector = TlsConnector::from(Arc::new(config));
        let mixed = Identity { connector, ..identity_of_ours };
        let refused = call(&Endpoint::Tls(address, mixed), &secret, &HELLO).await;
        let refused = refused.err().expect("another authority").to_string();
        assert!(refused.contains("the connection ended"), "{refused}");
    }
}
