//! Hosts on one machine: network namespaces with addresses of their own, on a bridge, or on lines that take their time and lose
//! packets (`tests/hosts/router.py`). No oracle: this is the helper. Where the system does not allow it, it says so.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Namespaces are of the whole machine; tests are not alone on it.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// How hosts are connected.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wires {
    /// A bridge: as fast as the kernel.
    Bridge,
    /// Lines with a delay in one direction, in milliseconds, and a probability of loss.
    Slow(u32, f64),
}

/// Hosts and what connects them; both disappear with this value.
pub(super) struct Hosts {
    /// The namespaces of the hosts.
    pub(super) names: Vec<String>,
    /// The one of the bridge or of the router.
    middle: String,
    network: u8,
    router: Option<(Child, ChildStdin, BufReader<ChildStdout>)>,
}

fn run(words: &[&str]) -> Result<(), String> {
    let said = Command::new("ip").args(words).output().map_err(|error| format!("ip: {error}"))?;
    let problem = || format!("ip {}: {}", words.join(" "), String::from_utf8_lossy(&said.stderr).trim());
    if said.status.success() { Ok(()) } else { Err(problem()) }
}

impl Hosts {
    /// So many hosts, or why there can't be any.
    pub(super) fn new(count: usize, wires: Wires) -> Result<Self, String> {
        let prefix = format!("asynapse-{}-{}", std::process::id(), COUNT.fetch_add(1, SeqCst));
        let names = (1..=count).map(|number| format!("{prefix}-{number}")).collect();
        let network = if matches!(wires, Wires::Bridge) { 0 } else { 1 };
        let mut hosts = Self { names, middle: format!("{prefix}-m"), network, router: None };
        for name in hosts.names.iter().chain([&hosts.middle]) {
            run(&["netns", "add", name])?;
            run(&["-n", name, "link", "set", "lo", "up"])?;
        }
        match wires {
            Wires::Bridge => hosts.bridge()?,
            Wires::Slow(delay, loss) => hosts.route(delay, loss)?,
        }
        Ok(hosts)
    }

    fn bridge(&self) -> Result<(), String> {
        let middle = self.middle.as_str();
        run(&["-n", middle, "link", "add", "bridge0", "type", "bridge"])?;
        run(&["-n", middle, "link", "set", "bridge0", "up"])?;
        for (index, name) in self.names.iter().enumerate() {
            let port = format!("port{index}");
            run(&["-n", middle, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", name])?;
            run(&["-n", middle, "link", "set", &port, "master", "bridge0", "up"])?;
            run(&["-n", name, "addr", "add", &format!("{}/24", self.address(index)), "dev", "eth0"])?;
            run(&["-n", name, "link", "set", "eth0", "up"])?;
        }
        Ok(())
    }

    fn route(&mut self, delay: u32, loss: f64) -> Result<(), String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hosts/router.py");
        let mut router = Command::new("ip")
            .args(["netns", "exec", &self.middle, "python3", script, &delay.to_string(), &loss.to_string()])
            .args(&self.names)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("ip netns exec: {error}"))?;
        let (Some(stdin), Some(stdout)) = (router.stdin.take(), router.stdout.take()) else {
            return Err("the router has no pipes".to_owned());
        };
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let read = stdout.read_line(&mut line).map_err(|error| error.to_string());
        self.router = Some((router, stdin, stdout));
        if read? > 0 && line.trim() == "ready" { Ok(()) } else { Err(format!("the router did not begin: {line:?}")) }
    }

    /// The address of a host.
    pub(super) fn address(&self, host: usize) -> String {
        format!("10.77.{}.{}", self.network, host + 1)
    }

    /// What has to stand before a command that runs on a host.
    pub(super) fn on(&self, host: usize) -> [&str; 4] {
        ["ip", "netns", "exec", &self.names[host]]
    }

    /// From now on nothing passes between these two hosts, and nobody is told.
    pub(super) fn cut(&mut self, one: usize, other: usize) {
        self.order(&format!("cut {} {}", one + 1, other + 1));
    }

    /// Everything passes again.
    pub(super) fn heal(&mut self) {
        self.order("heal");
    }

    fn order(&mut self, words: &str) {
        let (_, stdin, _) = self.router.as_mut().expect("only a router can be told");
        writeln!(stdin, "{words}").and_then(|()| stdin.flush()).expect("the router hears");
    }

    /// Packets that passed the router and packets that it dropped. It ends with that.
    pub(super) fn packets(mut self) -> Option<[u64; 2]> {
        let (mut router, stdin, mut stdout) = self.router.take()?;
        drop(stdin);
        let mut said = String::new();
        stdout.read_to_string(&mut said).ok()?;
        router.wait().ok()?;
        let mut numbers = said.split_whitespace().filter_map(|word| word.parse().ok());
        Some([numbers.next()?, numbers.next()?])
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        if let Some((mut router, stdin, _)) = self.router.take() {
            drop(stdin);
            // It ends when its standard input does.
            let _ = router.wait();
        }
        for name in self.names.iter().chain([&self.middle]) {
            // Those that were never made can't be removed.
            let _ = run(&["netns", "del", name]);
        }
    }
}
