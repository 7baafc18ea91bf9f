//! What a caller of [`super::fetch::fetch`] can choose, and what it is told meanwhile.
//!
//! Why it exists: time-outs, addresses and permissions belong together in one place with one set of
//! defaults, so that a test can wait milliseconds where a user waits half a minute.
//!
//! Where to go next: [`super::fetch`] uses all of this.

use std::time::Duration;

/// How long to wait for a mirror, and how often to try it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest time for finding the host, and again for connecting to it.
    pub connect: Duration,
    /// Longest time until the server has answered with its headers.
    pub answer: Duration,
    /// The speed of a transfer is looked at once in every such span of time.
    pub window: Duration,
    /// Fewer bytes than this in one window, and the transfer is cut off.
    pub least_per_window: u64,
    /// Longest time for one request as a whole, however fast it is.
    pub request: Duration,
    /// How many redirects to follow.
    pub redirects: u32,
    /// How many requests to send to one mirror for one file, as long as each gets further.
    pub tries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connect: Duration::from_secs(15),
            answer: Duration::from_secs(30),
            window: Duration::from_secs(30),
            least_per_window: 16 * 1024,
            request: Duration::from_secs(60 * 60),
            redirects: 5,
            tries: 5,
        }
    }
}

/// Whether requests go through a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyUse {
    /// As the environment variables `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    #[default]
    Environment,
    /// Always directly.
    Direct,
}

/// How to fetch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FetchOptions {
    /// Addresses to use instead of the catalogue's; each continues with the file's name.
    pub mirrors: Vec<String>,
    /// Replace files that are already there with other content.
    pub force: bool,
    /// How long to wait and how often to try.
    pub limits: Limits,
    /// Whether to use a proxy.
    pub proxy: ProxyUse,
}

/// What happens during a fetch, for a progress display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The file is there already and right.
    AlreadyThere {
        /// The file's name.
        file: &'a str,
    },
    /// A mirror begins to send.
    Started {
        /// The file's name.
        file: &'a str,
        /// The address asked.
        url: &'a str,
        /// How many bytes are there from an earlier attempt.
        from: u64,
        /// The length of the complete file.
        total: u64,
    },
    /// More bytes have arrived.
    Received {
        /// The file's name.
        file: &'a str,
        /// How many bytes are there now.
        received: u64,
        /// The length of the complete file.
        total: u64,
    },
    /// An attempt failed; the next one follows, if there is one.
    Failed {
        /// The file's name.
        file: &'a str,
        /// The address asked.
        url: &'a str,
        /// What went wrong.
        reason: &'a str,
    },
    /// The file is complete, verified and in its place.
    Finished {
        /// The file's name.
        file: &'a str,
    },
}
