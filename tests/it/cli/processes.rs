//! Runs whose layers live in several processes. Oracles: the run in one process, bit for bit; the processes that are really there,
//! read from the system; and what is promised of deaths and strangers.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::program::{Bench, Running};

/// 25 batches in an epoch; a checkpoint at every third.
pub(super) const SLOW: [&str; 5] = [
    "data.batch_size=8",
    "inference.max_infer_iters=100",
    "record.checkpoint_every=3",
    "record.layers_every=4",
    "learning.epochs=100000",
];

/// Process id, parent and state of every process there is, from the system.
pub(super) fn processes() -> Vec<(u32, u32, char)> {
    let entries = fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let stat = |entry: fs::DirEntry| {
        let pid: u32 = entry.file_name().to_string_lossy().parse().ok()?;
        let text = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (_, rest) = text.rsplit_once(") ")?;
        let mut words = rest.split(' ');
        Some((pid, words.next()?.chars().next()?, words.next()?.parse().ok()?))
    };
    entries.filter_map(stat).map(|(pid, state, parent)| (pid, parent, state)).collect()
}

/// The workers of a run, in the order in which they were started.
pub(super) fn workers(process: &Running) -> Vec<u32> {
    let mut found: Vec<u32> =
        processes().into_iter().filter(|(_, parent, _)| *parent == process.pid()).map(|(pid, ..)| pid).collect();
    found.sort_unstable();
    found
}

pub(super) fn is_there(pid: u32) -> bool {
    processes().iter().any(|(found, _, state)| *found == pid && *state != 'Z')
}

/// Waits until none of these processes is left.
#[track_caller]
pub(super) fn gone(pids: &[u32]) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Some(pid) = pids.iter().find(|&&pid| is_there(pid)) {
        assert!(Instant::now() < deadline, "process {pid} is still there");
        thread::sleep(Duration::from_millis(10));
    }
}

pub(super) fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().expect("kill").success());
}

/// A run on three workers that would go on for hours, some checkpoints old, and its workers.
pub(super) fn begun(bench: &Bench, more: &[&str]) -> (Running, Vec<u32>) {
    let mut process = bench.start_training("a", &[&SLOW[..], &["workers=3"], more].concat());
    let run = bench.run_directory("a");
    process.until("its checkpoints", || (run.checkpoints().len() >= 2).then_some(()));
    let workers = workers(&process);
    assert_eq!(workers.len(), 3, "one process for every worker");
    (process, workers)
}

#[test]
fn three_processes_train_the_bits_of_one_and_leave_nothing() {
    let bench = Bench::new();
    bench.train("one", &[]).expect(0);
    for (name, more) in [
        ("unix", &["workers=3"][..]),
        ("tcp", &["workers=3", "links.transport=tcp"]),
        ("placed", &["workers=2", "schedule.placement=[[0,2],[1]]"]),
        ("threads", &["workers=2", "schedule.threads=2"]),
    ] {
        bench.train(name, more).expect(0);
        assert!(bench.run_directory(name).learnt() == bench.run_directory("one").learnt(), "{name}");
        assert_eq!(
            bench.run_directory(name).text("layers.csv"),
            bench.run_directory("one").text("layers.csv"),
            "{name}"
        );
    }
    assert_eq!(bench.socket_folders(), 0);
}

#[test]
fn workers_compute_as_precisely_as_one_process_and_no_more() {
    let bench = Bench::new();
    bench.train("exact", &[]).expect(0);
    let learnt = |name: &str| bench.run_directory(name).learnt();
    for (name, limited) in [
        ("rounded", &["numerics.messages=bf16"][..]),
        ("noisy", &["numerics.states=fp16", "numerics.message_noise=0.01", "inference.variables=deviation"]),
    ] {
        let [one, three] = ["one", "three"].map(|workers| format!("{name}-{workers}"));
        bench.train(&one, &[limited, &["learning.epochs=2"]].concat()).expect(0);
        bench.train(&three, &[limited, &["workers=3"]].concat()).expect(0);
        bench.resume(&three, &["learning.epochs=2"]).expect(0);
        assert!(learnt(&three) == learnt(&one), "{name}");
        bench.train(&three.replace("three", "once"), &[limited, &["workers=3"]].concat()).expect(0);
        assert!(learnt(&three.replace("three", "once")) != learnt("exact"), "{name} has an effect");
    }
}

#[test]
fn a_resumed_run_may_live_in_other_processes() {
    let bench = Bench::new();
    bench.train("whole", &["learning.epochs=2"]).expect(0);
    bench.train("parts", &["workers=3"]).expect(0);
    bench.resume("parts", &["learning.epochs=2", "workers=2", "links.transport=tcp"]).expect(0);
    assert!(bench.run_directory("parts").learnt() == bench.run_directory("whole").learnt());
}

#[test]
fn a_run_that_is_stopped_as_a_whole_goes_on_as_a_whole() {
    let bench = Bench::new();
    let (mut process, workers) = begun(&bench, &["schedule.stall_seconds=100"]);
    signal("STOP", process.pid());
    workers.iter().for_each(|&worker| signal("STOP", worker));
    // Longer than a lease.
    thread::sleep(Duration::from_secs(4));
    workers.iter().for_each(|&worker| signal("CONT", worker));
    signal("CONT", process.pid());
    let run = bench.run_directory("a");
    let before = run.position()[0];
    process.until("another checkpoint", || (run.position()[0] > before).then_some(()));
    process.signal("TERM");
    process.wait().expect(130);
    gone(&workers);
}

#[test]
fn workers_end_when_their_coordinator_is_killed() {
    let bench = Bench::new();
    let (process, workers) = begun(&bench, &[]);
    process.signal("KILL");
    assert_eq!(process.wait().code, None);
    gone(&workers);
    assert_eq!(bench.socket_folders(), 0);
}

#[test]
fn an_interrupted_run_checkpoints_and_goes_on_with_the_same_bits() {
    let bench = Bench::new();
    let (process, workers) = begun(&bench, &[]);
    process.signal("INT");
    process.wait().expect(130).says(&["interrupted after training step"]);
    gone(&workers);
    let epochs = format!("learning.epochs={}", bench.run_directory("a").position()[1] + 1);
    bench.resume("a", &[&epochs]).expect(0);
    let undisturbed = [&SLOW[..4], &[epochs.as_str(), "workers=1"]].concat();
    bench.train("b", &undisturbed).expect(0);
    assert!(bench.run_directory("a").learnt() == bench.run_directory("b").learnt());
}

/// A port nobody uses now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

fn coordinator<'w>(endpoint: &'w str, more: &[&'w str]) -> Vec<&'w str> {
    let words = ["coordinator", "--listen", endpoint, "--secret-file", "secret", "--wait", "60"];
    [&words[..], &super::program::SMALL, &["workers=2", "output.name=hand"], more].concat()
}

#[test]
fn workers_started_by_hand_train_the_same_bits_and_strangers_change_nothing() {
    let bench = Bench::new();
    bench.train("one", &[]).expect(0);
    let port = free_port();
    for endpoint in [format!("tcp:127.0.0.1:{port}"), format!("unix:{}", bench.path("a.sock").display())] {
        let name = if endpoint.starts_with("tcp") { "output.name=tcp" } else { "output.name=unix" };
        let mut host = bench.start(&coordinator(&endpoint, &[name]));
        host.until("the secret", || bench.path("secret").is_file().then_some(()));
        if endpoint.starts_with("tcp") {
            strangers(port, &mut host);
            bench.put("other", "00".repeat(32));
            fs::set_permissions(bench.path("other"), fs::Permissions::from_mode(0o600)).expect("chmod");
            let refused = bench.run(&["worker", "--connect", &endpoint, "--secret-file", "other"]);
            refused.expect(2).says(&[&endpoint, "does not know the secret"]);
        } else {
            let socket = bench.path("a.sock");
            host.until("the socket", || {
                fs::metadata(&socket).ok().filter(|about| about.permissions().mode() & 0o777 == 0o600)
            });
        }
        let worker = ["worker", "--connect", &endpoint, "--secret-file", "secret"];
        let workers = [bench.start(&worker), bench.start(&worker)];
        host.wait().expect(0);
        workers.into_iter().for_each(|worker| drop(worker.wait().expect(0)));
        let run = bench.run_directory(name.trim_start_matches("output.name="));
        assert!(run.learnt() == bench.run_directory("one").learnt(), "{endpoint}");
    }
    assert!(!bench.path("a.sock").exists(), "the socket is gone");
}

/// Bytes that are no handshake, half of one, one of another version, and silence.
fn strangers(port: u16, host: &mut Running) {
    let connect = || TcpStream::connect(("127.0.0.1", port)).ok();
    let mut first = host.until("a listener", connect);
    first.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n").expect("write");
    let mut answer = Vec::new();
    // What it answers gives nothing away but its version; then it closes, with or without a reset.
    let _ = first.read_to_end(&mut answer);
    assert!(answer.len() <= 68 && answer.starts_with(b"AS"), "{answer:?}");
    let mut old = connect().expect("a connection");
    old.write_all(&[&b"AS"[..], &[99, 0], &[1; 32]].concat()).expect("write");
    let mut answer = Vec::new();
    let _ = old.read_to_end(&mut answer);
    assert_eq!(answer.get(2..4), Some(&asynapse::wire::VERSION.to_le_bytes()[..]), "it says what it speaks");
    assert!(answer[4..].iter().all(|&byte| byte == 0), "and nothing else");
    connect().expect("a connection").write_all(b"AS").expect("write");
    // Silent ones, held to the end of the process: fewer than would fill the room for handshakes.
    (0..8).for_each(|_| std::mem::forget(connect()));
}

#[test]
fn a_worker_that_cant_begin_says_why() {
    let bench = Bench::new();
    let port = free_port();
    let nobody = format!("tcp:127.0.0.1:{port}");
    bench.put("secret", "11".repeat(32));
    fs::set_permissions(bench.path("secret"), fs::Permissions::from_mode(0o600)).expect("chmod");
    bench.put("open", "11".repeat(32));
    fs::set_permissions(bench.path("open"), fs::Permissions::from_mode(0o644)).expect("chmod");
    for (words, said) in [
        (["--connect", nobody.as_str(), "--secret-file", "secret"], &[nobody.as_str(), "refused"][..]),
        (["--connect", "unix:none.sock", "--secret-file", "secret"], &["unix:none.sock", "No such file"]),
        (["--connect", &nobody, "--secret-file", "missing"], &["missing", "No such file"]),
        (["--connect", &nobody, "--secret-file", "open"], &["open", "mode 644", "chmod 600"]),
        (["--connect", &nobody, "--secret-file", "-"], &["standard input", "64 hexadecimal digits"]),
        (["--connect", "tcp:192.0.2.1:7400", "--secret-file", "secret"], &["not encrypted", "loopback"]),
        (["--connect", "tcp:nowhere", "--secret-file", "secret"], &["no address and port"]),
    ] {
        bench.run(&[&["worker"], &words[..]].concat()).expect(2).says(said);
    }
}

#[test]
fn a_coordinator_that_cant_begin_says_why() {
    let bench = Bench::new();
    let wait = ["--wait", "1"];
    let endpoint = format!("tcp:127.0.0.1:{}", free_port());
    let words = [&coordinator(&endpoint, &[])[..], &wait[..0]].concat();
    let impatient: Vec<&str> = words.iter().map(|word| if *word == "60" { "1" } else { word }).collect();
    bench.run(&impatient).expect(2).says(&["0 of 2 workers came within 1 s"]);
    for (endpoint, more, said) in [
        ("tcp:0.0.0.0:7400", &[][..], &["not encrypted"][..]),
        ("tcp:127.0.0.1:0", &[], &["give one above 0"]),
        (endpoint.as_str(), &["links.transport=unix"], &["links.transport is `unix`", "linked by `tcp`"]),
        (endpoint.as_str(), &["workers=1", "schedule.mode=reference"], &["lock-step, free-running or virtual-time"]),
        (endpoint.as_str(), &["workers=2", "schedule.placement=[[0,1],[1,2]]"], &["layer 1 is named twice"]),
        (endpoint.as_str(), &["workers=2", "schedule.placement=[[0],[2]]"], &["layer 1 is given to no worker"]),
    ] {
        bench.run(&coordinator(endpoint, more)).expect(2).says(said);
    }
    bench.put("a.sock", "not a socket");
    bench
        .run(&coordinator("unix:a.sock", &["output.name=other"]))
        .expect(2)
        .says(&["unix:a.sock", "can't be listened on"]);
    assert_eq!(fs::read_to_string(bench.path("a.sock")).expect("the file"), "not a socket", "it is left alone");
}
