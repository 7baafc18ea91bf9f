//! Runs whose layers live on several hosts. Oracles: the run in one process, bit for bit; the delay that was put on the lines, which
//! nothing that waits for an answer can beat; and what is promised of strangers with this or that part of the keys.
//!
//! The hosts are network namespaces with addresses of their own (`namespaces.rs`). That needs root; without it the tests say that
//! they were skipped. TLS itself is tested on the loopback interface too, everywhere.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::namespaces::{Hosts, Wires};
use super::program::{Bench, Outcome, Running, SMALL};

/// 25 batches in an epoch.
const THOUSAND: [&str; 3] = ["data.batch_size=8", "learning.epochs=40", "inference.max_infer_iters=8"];

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

pub(super) fn make_keys(bench: &Bench, name: &str) {
    let made = bench.run(&["keys", name]).expect(0);
    assert_eq!(made.stdout.trim(), name);
}

pub(super) fn coordinator<'w>(endpoint: &'w str, keys: &[&'w str], more: &[&'w str]) -> Vec<&'w str> {
    [&["coordinator", "--listen", endpoint, "--wait", "60"], keys, &SMALL, more].concat()
}

pub(super) fn worker<'w>(endpoint: &'w str, keys: &[&'w str]) -> Vec<&'w str> {
    [&["worker", "--join", endpoint], keys].concat()
}

/// Waits until somebody listens there; the connection costs nobody anything.
fn listening(process: &mut Running, port: u16) {
    process.until("a listener", || TcpStream::connect(("127.0.0.1", port)).ok());
}

#[test]
fn keys_are_for_their_owner_alone_and_never_made_twice() {
    let bench = Bench::new();
    make_keys(&bench, "k");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&bench.path("k")), 0o700);
    let names = ["secret", "certificate.pem", "key.pem", "authority.pem"];
    let before = names.map(|name| {
        assert_eq!(mode(&bench.path("k").join(name)), 0o600, "{name}");
        fs::read(bench.path("k").join(name)).expect(name)
    });
    bench.run(&["keys", "k"]).expect(2).says(&["k: File exists"]);
    assert!(before == names.map(|name| fs::read(bench.path("k").join(name)).expect(name)), "they are left alone");
    let private = String::from_utf8_lossy(&before[2]).matches("PRIVATE KEY").count();
    assert_eq!(private, 2, "one private key, the run's; the authority's is nowhere");
}

#[test]
fn with_keys_the_bits_are_the_same_and_half_of_them_is_not_enough() {
    let bench = Bench::new();
    bench.train("one", &[]).expect(0);
    for name in ["ours", "theirs", "mixed"] {
        make_keys(&bench, name);
    }
    // The secret without the certificate, and the certificate without the secret.
    fs::copy(bench.path("ours/secret"), bench.path("theirs/secret")).expect("copy");
    for name in ["certificate.pem", "key.pem", "authority.pem"] {
        fs::copy(bench.path("ours").join(name), bench.path("mixed").join(name)).expect("copy");
    }
    let port = free_port();
    let endpoint = format!("tcp:127.0.0.1:{port}");
    let mut host = bench.start(&coordinator(&endpoint, &["--keys", "ours"], &["workers=2", "output.name=two"]));
    host.until_said("waiting up to 60 s for 2 workers");
    listening(&mut host, port);
    bench.run(&worker(&endpoint, &["--keys", "theirs"])).expect(2).says(&[&endpoint, "certificate"]);
    bench.run(&worker(&endpoint, &["--keys", "mixed"])).expect(2).says(&[&endpoint, "does not know the secret"]);
    // The secret in the clear: nothing comes back that is not TLS.
    bench.run(&worker(&endpoint, &["--secret-file", "ours/secret"])).expect(2).says(&[&endpoint]);
    let mut stranger = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stranger.write_all(&[&b"AS"[..], &[1, 0], &[1; 32]].concat()).expect("write");
    let mut answer = Vec::new();
    let _ = stranger.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"AS") && answer.len() < 68, "{answer:?}");

    let own = ["secret", "certificate.pem", "key.pem", "authority.pem"].map(|name| format!("ours/{name}"));
    let files = ["--secret-file", "--tls-cert", "--tls-key", "--tls-ca"];
    let by_file: Vec<&str> = files.iter().zip(&own).flat_map(|(option, file)| [*option, file]).collect();
    let workers = [bench.start(&worker(&endpoint, &["--keys", "ours"])), bench.start(&worker(&endpoint, &by_file))];
    host.wait().expect(0);
    workers.into_iter().for_each(|worker| drop(worker.wait().expect(0)));
    assert!(bench.run_directory("two").learnt() == bench.run_directory("one").learnt());
}

#[test]
fn a_worker_killed_behind_tls_is_noticed_and_replaced_as_any_other() {
    let bench = Bench::new();
    make_keys(&bench, "k");
    let port = free_port();
    let endpoint = format!("tcp:127.0.0.1:{port}");
    let more = ["workers=2", "output.name=a", "learning.epochs=100000", "record.checkpoint_every=3"];
    let mut host = bench.start(&coordinator(&endpoint, &["--keys", "k"], &more));
    listening(&mut host, port);
    let patient = worker(&endpoint, &["--keys", "k", "--wait", "60"]);
    let [survivor, killed] = [0, 1].map(|_| bench.start(&patient));
    let run = bench.run_directory("a");
    host.until("a checkpoint", || (!run.checkpoints().is_empty()).then_some(()));
    killed.signal("KILL");
    host.until_said(&format!("(process {}", killed.pid()));
    host.until_said("closed its connections");
    let replacement = bench.start(&patient);
    let before = run.position()[0];
    host.until("another checkpoint", || (run.position()[0] > before).then_some(()));
    host.signal("INT");
    host.wait().expect(130).says(&["interrupted", "go on with: asynapse coordinator --listen", "--keys k"]);
    survivor.wait().expect(0);
    replacement.wait().expect(0);
}

#[test]
fn what_is_wrong_with_keys_is_said_before_anybody_calls() {
    let bench = Bench::new();
    for name in ["k", "open", "cut", "other"] {
        make_keys(&bench, name);
    }
    fs::set_permissions(bench.path("open/key.pem"), fs::Permissions::from_mode(0o640)).expect("chmod");
    bench.put("cut/certificate.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n");
    fs::copy(bench.path("k/authority.pem"), bench.path("other/authority.pem")).expect("copy");
    let own = |certificate, key| {
        ["--secret-file", "k/secret", "--tls-cert", certificate, "--tls-key", key, "--tls-ca", "k/authority.pem"]
    };
    let mixed = own("k/certificate.pem", "other/key.pem");
    let authority = own("k/authority.pem", "k/key.pem");
    let empty = own("k/secret", "k/key.pem");
    for (endpoint, keys, said) in [
        ("tcp:127.0.0.1:1", &["--keys", "missing"][..], &["missing/certificate.pem", "No such file"][..]),
        ("tcp:127.0.0.1:1", &["--keys", "open"], &["open/key.pem", "mode 640", "chmod 600"]),
        ("tcp:127.0.0.1:1", &["--keys", "cut"], &["cut/certificate.pem"]),
        ("tcp:127.0.0.1:1", &["--keys", "other"], &["other/certificate.pem", "others would refuse it"]),
        ("tcp:127.0.0.1:1", &mixed, &["other/key.pem", "does not fit the certificate"]),
        ("tcp:127.0.0.1:1", &authority, &["k/authority.pem", "others would refuse it", "`asynapse`"]),
        ("tcp:127.0.0.1:1", &empty, &["k/secret", "no certificate"]),
        ("tcp:192.0.2.1:1", &["--secret-file", "k/secret"], &["not encrypted", "asynapse keys", "--keys FOLDER"]),
        ("unix:a.sock", &mixed[..2], &["a.sock"]),
        ("unix:a.sock", &own("k/certificate.pem", "k/key.pem"), &["unix:a.sock", "leave TLS out"]),
        ("tcp:127.0.0.1:1", &mixed[..4], &["--tls-key", "--tls-ca"]),
        ("tcp:127.0.0.1:1", &[], &["--keys"]),
    ] {
        bench.run(&worker(endpoint, keys)).expect(2).says(said);
    }
}

/// Hosts, or nothing and a sentence on stderr.
pub(super) fn hosts(wires: Wires) -> Option<Hosts> {
    match Hosts::new(3, wires) {
        Ok(hosts) => Some(hosts),
        Err(problem) if std::env::var_os("ASYNAPSE_HOSTS").is_some() => panic!("ASYNAPSE_HOSTS is set, but {problem}"),
        Err(problem) => {
            eprintln!("skipped: no hosts in network namespaces ({wires:?}): {problem}");
            None
        }
    }
}

/// Trains on three hosts: the coordinator and a worker on the first, a worker on each of the others.
fn train_on(hosts: &Hosts, bench: &Bench, name: &str, more: &[&str]) -> (Outcome, Duration) {
    let endpoint = format!("tcp:{}:7400", hosts.address(0));
    let named = format!("output.name={name}");
    let words = coordinator(&endpoint, &["--keys", "k"], &[&["workers=3", &named], more].concat());
    let coordinator = bench.start_behind(&hosts.on(0), &words);
    // As `srun` would: all at once, and whoever is early calls again.
    let words = worker(&endpoint, &["--keys", "k", "--wait", "60"]);
    let workers: Vec<Running> = (0..3).map(|host| bench.start_behind(&hosts.on(host), &words)).collect();
    let begun = Instant::now();
    let outcome = coordinator.wait().expect(0);
    let took = begun.elapsed();
    workers.into_iter().for_each(|worker| drop(worker.wait().expect(0)));
    (outcome, took)
}

#[test]
fn three_hosts_train_the_bits_of_one_process_over_a_thousand_steps() {
    let Some(hosts) = hosts(Wires::Bridge) else { return };
    let bench = Bench::new();
    make_keys(&bench, "k");
    bench.train("one", &THOUSAND).expect(0);
    train_on(&hosts, &bench, "three", &THOUSAND);
    assert!(bench.run_directory("three").learnt() == bench.run_directory("one").learnt());
    assert_eq!(bench.run_directory("three").position()[0], 1000, "so many steps");
    let tables = ["three", "one"].map(|name| bench.run_directory(name).text("layers.csv"));
    assert_eq!(tables[0], tables[1]);
    // The same without keys is refused on every host: nobody listens, nobody calls.
    let endpoint = format!("tcp:{}:7401", hosts.address(0));
    let open = coordinator(&endpoint, &["--secret-file", "k/secret"], &["workers=3", "output.name=open"]);
    bench.start_behind(&hosts.on(0), &open).wait().expect(2).says(&["not encrypted", "asynapse keys"]);
    let open = worker(&endpoint, &["--secret-file", "k/secret"]);
    bench.start_behind(&hosts.on(1), &open).wait().expect(2).says(&["not encrypted", "asynapse keys"]);
}

#[test]
fn slow_lines_that_lose_packets_change_the_time_and_not_the_bits() {
    let bench = Bench::new();
    make_keys(&bench, "k");
    let short = ["inference.max_infer_iters=10", "data.train=96"];
    bench.train("one", &short).expect(0);
    let batches = 3;
    for (name, delay, loss) in [("slow", 20, 0.0), ("lossy", 2, 0.02)] {
        let Some(hosts) = hosts(Wires::Slow(delay, loss)) else { return };
        let (_, took) = train_on(&hosts, &bench, name, &short);
        assert!(bench.run_directory(name).learnt() == bench.run_directory("one").learnt(), "{name}");
        assert_eq!(bench.run_directory(name).position()[0], batches, "so many steps");
        assert_eq!(bench.run_directory(name).text("generation"), "1\n", "{name}: a line that lives is not given up");
        // In lock-step a layer's next step waits for the answer to its last one: there and back across a line, every time.
        let least = Duration::from_millis(batches * 10 * 2 * u64::from(delay));
        assert!(took >= least, "{name}: {took:?}, but signals were on their way for {least:?}");
        let [passed, dropped] = hosts.packets().expect("the router's count");
        assert!(passed > 100, "the signals took this way: {passed} packets");
        assert_eq!(dropped > 0, loss > 0.0, "{dropped} packets were lost");
        eprintln!(
            "{name}: {took:?} for {batches} steps, {least:?} of it on the lines; {passed} packets, {dropped} lost"
        );
    }
}
