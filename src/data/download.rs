//! One request for one file to one address, continuing where an earlier request stopped.
//!
//! Why it exists: a server may be gone, slow, lying or endless. Every way of waiting has a limit
//! here, and no more bytes are accepted than the catalogue announces.
//!
//! Where to go next: [`super::fetch`] decides from a [`Trouble`] whether to ask again, to ask
//! elsewhere or to give up.

use std::io::Read;
use std::time::{Duration, Instant};

use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body, Proxy};

use super::error::DataError;
use super::fetch_options::{Limits, Progress, ProxyUse};
use super::partial::Partial;

/// Why a request did not complete the file.
pub(crate) enum Trouble {
    /// This machine's fault: asking elsewhere will not help.
    Local(DataError),
    /// This address cannot help.
    Mirror(String),
    /// Worth asking the same address again, for the rest or from the beginning.
    Again(String),
}

impl From<DataError> for Trouble {
    fn from(error: DataError) -> Self {
        Trouble::Local(error)
    }
}

/// What to ask for, and under which limits.
pub(crate) struct Order<'a> {
    /// Sends the requests.
    pub(crate) agent: &'a Agent,
    /// How long to wait and how much to expect.
    pub(crate) limits: &'a Limits,
    /// The file's name, for progress reports.
    pub(crate) file: &'static str,
    /// The complete address.
    pub(crate) url: &'a str,
    /// The length of the complete file.
    pub(crate) bytes: u64,
}

/// Why this build cannot use an address at all, if so.
pub(crate) fn unusable(url: &str) -> Option<&'static str> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    match scheme.map(str::to_ascii_lowercase).as_deref() {
        Some("http") => None,
        Some("https") if cfg!(feature = "https") => None,
        Some("https") => Some("an https address needs a build with the `https` feature"),
        _ => Some("it does not begin with http:// or https://"),
    }
}

/// An HTTP client that never waits without a limit.
pub(crate) fn agent(limits: &Limits, proxy: ProxyUse) -> Agent {
    let proxy = match proxy {
        ProxyUse::Environment => Proxy::try_from_env(),
        ProxyUse::Direct => None,
    };
    let name = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
    let config = Agent::config_builder()
        .proxy(proxy)
        .user_agent(name)
        .http_status_as_error(false)
        .max_redirects(limits.redirects)
        .timeout_resolve(Some(limits.connect))
        .timeout_connect(Some(limits.connect))
        .timeout_send_request(Some(limits.answer))
        .timeout_recv_response(Some(limits.answer))
        .timeout_per_read(Some(limits.answer.max(limits.window)))
        .timeout_per_call(Some(limits.request))
        .build();
    Agent::new_with_config(config)
}

/// Asks for what is missing in `partial` and appends it.
///
/// Success means that the announced number of bytes is there; whether they are the right ones is for
/// the caller to find out.
pub(crate) fn download(
    order: &Order<'_>,
    partial: &mut Partial,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Trouble> {
    let start = partial.length();
    let mut request = order.agent.get(order.url);
    // Compressing the compressed file once more would only change its length.
    request = request.header(header::ACCEPT_ENCODING, "identity");
    if start > 0 {
        request = request.header(header::RANGE, format!("bytes={start}-"));
    }
    let response = request.call().map_err(|error| Trouble::Mirror(in_words(&error, order.limits)))?;
    accept(order, &response, partial)?;
    progress(Progress::Started { file: order.file, url: order.url, from: partial.length(), total: order.bytes });
    receive(order, response.into_body(), partial, progress)
}

/// Decides from status and headers whether the body continues, replaces or cannot be used.
fn accept(order: &Order<'_>, response: &Response<Body>, partial: &mut Partial) -> Result<(), Trouble> {
    let start = partial.length();
    let status = response.status();
    match status {
        StatusCode::PARTIAL_CONTENT if start > 0 => {
            if !continues_at(response, start) {
                partial.restart()?;
                let reason = "it answered with another part of the file than asked for";
                return Err(Trouble::Again(reason.to_string()));
            }
            check_announced(response, order.bytes.saturating_sub(start))
        }
        // The whole file, although perhaps only the rest was asked for.
        StatusCode::OK => {
            check_announced(response, order.bytes)?;
            partial.restart().map_err(Trouble::Local)
        }
        StatusCode::RANGE_NOT_SATISFIABLE if start > 0 => {
            partial.restart()?;
            Err(Trouble::Again(format!("it has nothing after byte {start}")))
        }
        _ => Err(Trouble::Mirror(format!("it answered {status}"))),
    }
}

/// Refuses a body that will not have the right length, before anything of it is kept.
fn check_announced(response: &Response<Body>, expected: u64) -> Result<(), Trouble> {
    match response.body().content_length() {
        Some(announced) if announced != expected => {
            Err(Trouble::Mirror(format!("it announces {announced} bytes, expected {expected}")))
        }
        _ => Ok(()),
    }
}

/// Whether a partial answer says that it begins at `start`, as in `bytes 100-199/200`.
fn continues_at(response: &Response<Body>, start: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE);
    let first = range
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.trim().strip_prefix("bytes "))
        .and_then(|value| value.split_once('-'))
        .and_then(|(first, _)| first.trim().parse::<u64>().ok());
    first == Some(start)
}

/// Appends the body, watching amount and speed.
fn receive(
    order: &Order<'_>,
    body: Body,
    partial: &mut Partial,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Trouble> {
    let missing = order.bytes.saturating_sub(partial.length());
    // One byte more than missing is enough to see that a server sends too much.
    let mut reader = body.into_reader().take(missing + 1);
    let mut buffer = vec![0; 1 << 16];
    let mut pace = Pace::start();
    loop {
        let arrived = match reader.read(&mut buffer) {
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            // With every byte there, it does not matter how the connection ended.
            Err(_) if partial.length() == order.bytes => return Ok(()),
            Err(error) => {
                let reason = in_words(&ureq::Error::from(error), order.limits);
                return Err(interrupted(order, partial, &reason));
            }
        };
        let length = partial.length() + arrived.len() as u64;
        if length > order.bytes {
            partial.restart()?;
            let reason = format!("it sends more than the expected {} bytes", order.bytes);
            return Err(Trouble::Mirror(reason));
        }
        if arrived.is_empty() {
            if length == order.bytes {
                return Ok(());
            }
            return Err(interrupted(order, partial, "it ended the transfer"));
        }
        partial.append(arrived)?;
        progress(Progress::Received { file: order.file, received: length, total: order.bytes });
        if length < order.bytes && pace.too_slow(arrived.len(), order.limits) {
            let reason =
                format!("fewer than {} bytes arrived in {:?}", order.limits.least_per_window, order.limits.window);
            return Err(interrupted(order, partial, &reason));
        }
    }
}

/// The transfer stopped early; what has arrived stays.
fn interrupted(order: &Order<'_>, partial: &Partial, reason: &str) -> Trouble {
    let received = partial.length();
    let expected = order.bytes;
    Trouble::Again(format!("{reason} after {received} of {expected} bytes"))
}

/// Measures how much arrives in each window of time, so that a trickle is not waited for.
struct Pace {
    since: Instant,
    received: u64,
}

impl Pace {
    fn start() -> Self {
        Pace { since: Instant::now(), received: 0 }
    }

    /// Counts what arrived; at the end of a window, tells whether it was too little.
    fn too_slow(&mut self, arrived: usize, limits: &Limits) -> bool {
        self.received += arrived as u64;
        if self.since.elapsed() < limits.window {
            return false;
        }
        let too_little = self.received < limits.least_per_window;
        *self = Pace::start();
        too_little
    }
}

/// An error of the HTTP client in words for the person at the terminal.
fn in_words(error: &ureq::Error, limits: &Limits) -> String {
    let waited = |what: &str, limit: Duration| format!("{what} took longer than {limit:?}");
    match error {
        ureq::Error::HostNotFound => "the host is not known (is this machine online?)".to_string(),
        ureq::Error::TooManyRedirects => {
            format!("it redirects more than {} times", limits.redirects)
        }
        ureq::Error::TlsRequired => {
            "it leads to an https address, which needs a build with the `https` feature".to_string()
        }
        ureq::Error::Timeout(timeout) => match timeout {
            ureq::Timeout::Resolve => waited("finding the host", limits.connect),
            ureq::Timeout::Connect => waited("connecting", limits.connect),
            ureq::Timeout::SendRequest | ureq::Timeout::RecvResponse => waited("the answer", limits.answer),
            ureq::Timeout::PerRead => waited("the next byte", limits.answer.max(limits.window)),
            _ => waited("the request", limits.request),
        },
        ureq::Error::Io(reason) => reason.to_string(),
        other => other.to_string(),
    }
}
