//! Hostile bytes on every listener: noise, halves of handshakes, answers that were right once, megabytes, and callers who take their
//! time. Oracles: the program itself without any of it, bit for bit; what the system says of its memory; and that no stranger is
//! ever answered more than the 68 bytes of a challenge, so none is welcomed.
//!
//! `ASYNAPSE_HOSTILE_SECONDS` makes it longer than the seconds of a gate: so many for each kind of listener of a coordinator. A worker
//! listens for no more than ten seconds; its test repeats itself instead.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use asynapse::math::random::{Purpose as Use, Stream as Numbers};
use asynapse::wire::control;
use asynapse::wire::handshake::{self, CHALLENGE, Hello, Purpose, Secret};

use super::program::{Bench, SMALL};

/// Threads of strangers.
const STRANGERS: u64 = 4;
/// Connections that one thread keeps open and feeds byte by byte.
const SLOW: usize = 3;
/// What a process may grow by under all this, in KiB: a connection that is not in yet costs less than 100 KiB, and there are 16.
const GROWTH: u64 = 8 << 10;

fn seconds(default: u64) -> u64 {
    let told = std::env::var("ASYNAPSE_HOSTILE_SECONDS").ok();
    told.map_or(default, |text| text.parse().expect("ASYNAPSE_HOSTILE_SECONDS is a whole number"))
}

/// Where strangers call.
#[derive(Clone, Debug)]
enum Door {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

trait Both: Read + Write + Send {}
impl<S: Read + Write + Send> Both for S {}

impl Door {
    /// Nothing if nobody opens: a queue that is full is no accident here.
    fn knock(&self) -> Option<Box<dyn Both>> {
        let patience = Some(Duration::from_millis(100));
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, Duration::from_secs(1)).ok()?;
                stream.set_read_timeout(patience).and(stream.set_write_timeout(patience)).ok()?;
                Some(Box::new(stream))
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path).ok()?;
                stream.set_read_timeout(patience).and(stream.set_write_timeout(patience)).ok()?;
                Some(Box::new(stream))
            }
        }
    }
}

/// What one of them says, and whether it answers the challenge with what was right for another one.
fn words(numbers: &mut Numbers, secret: &Secret) -> (Vec<u8>, Option<Vec<u8>>) {
    let kind = numbers.below(8);
    let mut noise = |most: usize| -> Vec<u8> {
        let length = numbers.below(most + 1);
        (0..length).map(|_| u8::try_from(numbers.below(256)).unwrap_or(0)).collect()
    };
    let call = handshake::call(&[5; 32]).to_vec();
    let hello = Hello { purpose: Purpose::Control, run: [0; 16], generation: 0, caller: [6; 16], pid: 1 };
    let once = || {
        let call = handshake::call(&[5; 32]);
        let (_, challenge) = handshake::challenge(secret, &call, &[9; 32]);
        handshake::respond(secret, &[5; 32], &challenge, &hello).expect("it was right once").to_vec()
    };
    match kind {
        0 => (noise(400), None),
        1 => (call[..noise(35).len()].to_vec(), None),
        2 => (call, Some(noise(84))),
        3 => (call, Some(once())),
        4 => ([call, once()].concat(), None),
        5 => (vec![0x41; 1 << 20], None),
        // The beginning of a TLS record that claims more than it holds.
        6 => ([&[22, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xfb, 3, 3][..], &noise(2000)].concat(), None),
        _ => ([&b"AS"[..], &noise(2), &[255; 64]].concat(), None),
    }
}

/// Strangers at a door until they are told to stop.
struct Crowd {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn at(door: &Door, secret: &Secret, seed: u64) -> Self {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..STRANGERS).map(|number| {
            let (stop, calls, door, secret) = (Arc::clone(&stop), Arc::clone(&calls), door.clone(), secret.clone());
            thread::spawn(move || {
                let mut numbers = Numbers::new(seed, Use::Trial, number);
                let mut slow: Vec<Box<dyn Both>> = Vec::new();
                while !stop.load(SeqCst) {
                    slow.retain_mut(|caller| caller.write_all(b"A").is_ok());
                    if slow.len() < SLOW {
                        slow.extend(door.knock());
                    }
                    if let Some(mut stranger) = door.knock() {
                        calls.fetch_add(1, SeqCst);
                        let (first, second) = words(&mut numbers, &secret);
                        converse(&mut stranger, &first, second.as_deref());
                    }
                }
            })
        });
        Self { threads: threads.collect(), stop, calls }
    }

    /// How often they called.
    fn disperse(self) -> u64 {
        self.stop.store(true, SeqCst);
        self.threads.into_iter().for_each(|thread| thread.join().expect("no stranger was welcomed"));
        self.calls.load(SeqCst)
    }
}

/// Says it, and looks at everything that comes back.
fn converse(stranger: &mut dyn Both, first: &[u8], second: Option<&[u8]>) {
    // Whoever is hung up on can't say the rest.
    let _ = stranger.write_all(first);
    let mut heard = [0; 4096];
    let mut count = 0;
    let mut second = second;
    loop {
        match stranger.read(&mut heard[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(_) => break,
        }
        // TLS hangs up with an alert; the handshake says no more than its challenge without a proof.
        assert!(count <= CHALLENGE, "a stranger was told more than a challenge: {:?}", &heard[..count]);
        if count == CHALLENGE
            && let Some(answer) = second.take()
        {
            let _ = stranger.write_all(answer);
        }
    }
}

/// Resident memory of a process now, and at its highest, in KiB.
fn memory(pid: u32) -> [u64; 2] {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    ["VmRSS:", "VmHWM:"].map(|name| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("a size");
        line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
    })
}

#[test]
fn strangers_at_a_coordinator_cost_nothing_and_change_nothing() {
    let lasting = seconds(2);
    let bench = Bench::new();
    bench.train("one", &[]).expect(0);
    bench.run(&["keys", "k"]).expect(0);
    let hex = fs::read_to_string(bench.path("k/secret")).expect("the secret");
    let byte = |index: usize| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).expect("digits");
    let secret = Secret::new(std::array::from_fn(byte));
    let port = || TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    for (name, keys) in [("tcp", ["--secret-file", "k/secret"]), ("tls", ["--keys", "k"]), ("unix", ["--keys", "k"])] {
        let (door, endpoint) = if name == "unix" {
            let path = bench.path("a.sock");
            (Door::Unix(path.clone()), format!("unix:{}", path.display()))
        } else {
            let address = port();
            (Door::Tcp(address), format!("tcp:{address}"))
        };
        let (wait, output) = ((lasting + 60).to_string(), format!("output.name={name}"));
        let listening = ["coordinator", "--listen", &endpoint, "--wait", &wait];
        let words = [&listening[..], &keys, &SMALL, &["workers=2", &output]].concat();
        let mut host = bench.start(&words).lasting(Duration::from_secs(lasting + 120));
        host.until("a listener", || door.knock());
        let crowd = Crowd::at(&door, &secret, 1);
        thread::sleep(Duration::from_secs(lasting) / 4);
        let before = memory(host.pid())[0];
        thread::sleep(Duration::from_secs(lasting) * 3 / 4);
        let [after, most] = memory(host.pid());
        let calls = crowd.disperse();
        eprintln!("{name}: {calls} calls in {lasting} s; {before} KiB, then {after} KiB, at most {most} KiB");
        assert!(calls > 10 * lasting, "they were many: {calls}");
        assert!(after <= before + GROWTH && most <= before + GROWTH, "memory grew: {before} KiB to {after}, {most}");
        let worker = [&["worker", "--join", &endpoint][..], &keys].concat();
        let workers = [bench.start(&worker), bench.start(&worker)];
        let outcome = host.wait().expect(0);
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        workers.into_iter().for_each(|worker| drop(worker.wait().expect(0)));
        assert!(bench.run_directory(name).learnt() == bench.run_directory("one").learnt(), "{name}");
    }
}

/// Passes on what a worker and its coordinator say, but keeps back the list of addresses until told: so long its neighbour listens.
fn relay(listener: TcpListener, to: SocketAddr, addresses: mpsc::Sender<SocketAddr>, go: Arc<AtomicBool>) {
    for near in listener.incoming().take(2) {
        let near = near.expect("the worker");
        let far = TcpStream::connect(to).expect("the coordinator");
        let (mut up, mut upper) = (near.try_clone().expect("a copy"), far.try_clone().expect("a copy"));
        thread::spawn(move || {
            let _ = std::io::copy(&mut up, &mut upper);
            let _ = upper.shutdown(std::net::Shutdown::Write);
        });
        let (addresses, go) = (addresses.clone(), Arc::clone(&go));
        thread::spawn(move || {
            let _ = pass(&far, &near, &addresses, &go);
            let _ = near.shutdown(std::net::Shutdown::Write);
        });
    }
}

fn pass(
    mut far: &TcpStream,
    mut near: &TcpStream,
    addresses: &mpsc::Sender<SocketAddr>,
    go: &AtomicBool,
) -> std::io::Result<()> {
    // The challenge, and after its answer the welcome.
    for length in [CHALLENGE, 1] {
        let mut part = vec![0; length];
        far.read_exact(&mut part)?;
        near.write_all(&part)?;
    }
    loop {
        let mut length = [0; 4];
        far.read_exact(&mut length)?;
        let mut head = vec![0; u32::from_le_bytes(length) as usize];
        far.read_exact(&mut head)?;
        // The second kind of instruction: where everybody can be called.
        if let Ok((1_u32, told)) = control::decode::<(u32, Vec<Option<SocketAddr>>)>("addresses", &head)
            && let Some(Some(address)) = told.first()
        {
            addresses.send(*address).expect("the test");
            while !go.load(SeqCst) {
                thread::sleep(Duration::from_millis(5));
            }
            near.write_all(&[&length[..], &head].concat())?;
            return std::io::copy(&mut far, &mut near).map(drop);
        }
        near.write_all(&[&length[..], &head].concat())?;
    }
}

/// Connections to a port of this machine that stand, from the system.
fn callers(port: u16) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").expect("the table of connections");
    let stands = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.get(2).is_some_and(|remote| remote.ends_with(&format!(":{port:04X}"))) && words.get(3) == Some(&"01")
    };
    table.lines().filter(stands).count()
}

#[test]
fn strangers_at_a_worker_cost_nothing_and_change_nothing() {
    let bench = Bench::new();
    bench.train("one", &[]).expect(0);
    // A worker gives its neighbours ten seconds.
    let (all, each) = (seconds(3), 3);
    bench.put("secret", "07".repeat(32));
    fs::set_permissions(bench.path("secret"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("chmod");
    for round in 0..all.div_ceil(each) {
        let coordinator = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let between = TcpListener::bind("127.0.0.1:0").expect("a port");
        let near = format!("tcp:{}", between.local_addr().expect("an address"));
        let (far, output) = (format!("tcp:{coordinator}"), format!("output.name=r{round}"));
        let listening = ["coordinator", "--listen", &far, "--secret-file", "secret", "--wait", "60"];
        let mut host = bench.start(&[&listening[..], &SMALL, &["workers=2", &output]].concat());
        host.until("a listener", || TcpStream::connect(coordinator).ok());
        let worker = |endpoint| bench.start(&["worker", "--join", endpoint, "--secret-file", "secret"]);
        let mut lower = worker(&far);
        // Who comes first has the lower layers, and is the one that is called: it is in when it has called twice.
        lower.until("its second call", || (callers(coordinator.port()) == 2).then_some(()));
        let (say, told) = mpsc::channel();
        let go = Arc::new(AtomicBool::new(false));
        let going = Arc::clone(&go);
        thread::spawn(move || relay(between, coordinator, say, going));
        let upper = worker(&near);
        let door = Door::Tcp(told.recv_timeout(Duration::from_secs(30)).expect("the lower worker listens"));
        let before = memory(lower.pid())[0];
        let crowd = Crowd::at(&door, &Secret::new([7; 32]), round);
        let until = Instant::now() + Duration::from_secs(each);
        while Instant::now() < until {
            thread::sleep(Duration::from_millis(50));
        }
        let [after, most] = memory(lower.pid());
        let calls = crowd.disperse();
        eprintln!("a worker: {calls} calls in {each} s; {before} KiB, then {after} KiB, at most {most} KiB");
        assert!(calls > 10 * each, "they were many: {calls}");
        assert!(after <= before + GROWTH && most <= before + GROWTH, "memory grew: {before} KiB to {after}, {most}");
        go.store(true, SeqCst);
        host.wait().expect(0);
        let outcome = lower.wait().expect(0);
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        upper.wait().expect(0);
        let run = bench.run_directory(&format!("r{round}"));
        assert!(run.learnt() == bench.run_directory("one").learnt(), "round {round}");
    }
}
