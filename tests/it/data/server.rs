//! A mirror on this machine that can be told to misbehave.
//!
//! Why it exists: the interesting part of downloading is what happens when it goes wrong. The server
//! answers one request per connection, follows a script of faults, writes down what it was asked,
//! and ends by itself: every wait and every body has a limit.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::samples::Sample;

/// No test server lives longer than this.
const LIFETIME: Duration = Duration::from_secs(20);

/// How to answer one request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// Like a good mirror, with ranges.
    Proper,
    /// The whole file, whatever range was asked for.
    IgnoreRange,
    /// Promises everything that was asked for, but hangs up after so many bytes.
    CutAfter(usize),
    /// A status and a short body.
    Status(u16),
    /// To this address.
    Redirect(String),
    /// These bytes with their length.
    Body(Vec<u8>),
    /// These bytes without telling their length before.
    BodyWithoutLength(Vec<u8>),
    /// A length header that is not true.
    WrongLength(u64),
    /// A partial answer that begins at this byte, whatever was asked for.
    PartFrom(usize),
    /// Zeros without end (well, 64 MiB).
    Endless,
    /// One byte of the file every 20 ms.
    Trickle,
    /// One byte of the headers every 20 ms.
    TrickleHeaders,
    /// Half of the file, and then nothing, with the connection open.
    StopHalfway,
    /// Nothing at all, with the connection open.
    Silence,
    /// Not HTTP.
    Garbage,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) range: Option<String>,
}

/// A running server; it stops when dropped.
pub(super) struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the sample; `script` says how to answer the first requests, the rest is proper.
    pub(super) fn start(sample: &Sample, script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a listener that does not wait");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let names = sample.dataset.files.iter().map(|file| format!("/{}", file.name));
        let service = Service {
            files: names.zip(sample.served.clone()).collect(),
            script,
            requests: Arc::new(Mutex::new(Vec::new())),
            stop: Arc::new(AtomicBool::new(false)),
        };
        let requests = Arc::clone(&service.requests);
        let stop = Arc::clone(&service.stop);
        let thread = Some(thread::spawn(move || service.run(&listener)));
        Server { address, requests, stop, thread }
    }

    /// The address to put before file names.
    pub(super) fn address(&self) -> String {
        self.address.clone()
    }

    /// Everything asked so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("the list of requests").clone()
    }

    /// The ranges asked for so far.
    pub(super) fn ranges(&self) -> Vec<Option<String>> {
        self.requests().into_iter().map(|request| request.range).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the server's thread works with.
struct Service {
    files: HashMap<String, Vec<u8>>,
    script: Vec<Reply>,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
}

impl Service {
    fn run(&self, listener: &TcpListener) {
        let end = Instant::now() + LIFETIME;
        thread::scope(|connections| {
            while Instant::now() < end && !self.stop.load(Ordering::SeqCst) {
                match listener.accept() {
                    // A client that hangs up early is part of the game.
                    Ok((stream, _)) => drop(connections.spawn(|| self.serve(stream))),
                    Err(_) => thread::sleep(Duration::from_millis(2)),
                }
            }
        });
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.set_write_timeout(Some(Duration::from_secs(5)))?;
        let request = read_request(&stream)?;
        let number = {
            let mut requests = self.requests.lock().expect("the list of requests");
            requests.push(request.clone());
            requests.len() - 1
        };
        let reply = self.script.get(number).cloned().unwrap_or(Reply::Proper);
        let body = self.files.get(&request.path).cloned();
        let Some(body) = body else {
            return headed(&mut stream, "404 Not Found", &[], b"no such file");
        };
        self.answer(&mut stream, &reply, &request, &body)
    }

    fn answer(&self, stream: &mut TcpStream, reply: &Reply, request: &Request, body: &[u8]) -> io::Result<()> {
        let from = first_byte(request).min(body.len());
        match reply {
            Reply::Proper => send_range(stream, body, from, body.len()),
            Reply::CutAfter(count) => send_range(stream, body, from, *count),
            Reply::StopHalfway => {
                send_range(stream, body, from, body.len() / 2)?;
                self.wait()
            }
            Reply::IgnoreRange => headed(stream, "200 OK", &[], body),
            Reply::Body(other) => headed(stream, "200 OK", &[], other),
            Reply::Status(code) => headed(stream, &format!("{code} Scripted"), &[], b"scripted"),
            Reply::Redirect(to) => headed(stream, "302 Found", &[format!("Location: {to}")], b"elsewhere"),
            Reply::WrongLength(length) => {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
                stream.write_all(body)
            }
            Reply::PartFrom(first) => send_range(stream, body, *first, body.len()),
            Reply::BodyWithoutLength(other) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
                stream.write_all(other)
            }
            Reply::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
                (0..1024).try_for_each(|_| stream.write_all(&[0; 1 << 16]))
            }
            Reply::Trickle => {
                let length = body.len();
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
                self.trickle(stream, body)
            }
            Reply::TrickleHeaders => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ")?;
                self.trickle(stream, &[b'x'; 1000])
            }
            Reply::Silence => self.wait(),
            Reply::Garbage => stream.write_all(b"220 mail.example.org ready\r\n\r\n"),
        }
    }

    /// Sends byte by byte, until the client has had enough.
    fn trickle(&self, stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes {
            if self.stop.load(Ordering::SeqCst) {
                break;
            }
            stream.write_all(&[*byte])?;
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Keeps the connection open for a while.
    fn wait(&self) -> io::Result<()> {
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end && !self.stop.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// Path and range of a request, read up to the empty line.
fn read_request(stream: &TcpStream) -> io::Result<Request> {
    let mut lines = BufReader::new(stream).lines().take(100);
    let first = lines.next().unwrap_or(Ok(String::new()))?;
    let path = first.split(' ').nth(1).unwrap_or("").to_string();
    let mut range = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("range")
        {
            range = Some(value.trim().to_string());
        }
    }
    Ok(Request { path, range })
}

/// The first byte asked for, 0 without a range.
fn first_byte(request: &Request) -> usize {
    let range = request.range.as_deref().unwrap_or("bytes=0-");
    let number = range.trim_start_matches("bytes=").trim_end_matches('-');
    number.parse().expect("an open range")
}

/// Promises everything from `from` on, and sends at most `count` bytes of it.
fn send_range(stream: &mut TcpStream, body: &[u8], from: usize, count: usize) -> io::Result<()> {
    let rest = &body[from..];
    let (all, last, length) = (body.len(), body.len() - 1, rest.len());
    if from > 0 {
        write!(stream, "HTTP/1.1 206 Partial Content\r\n")?;
        write!(stream, "Content-Range: bytes {from}-{last}/{all}\r\n")?;
    } else {
        write!(stream, "HTTP/1.1 200 OK\r\n")?;
    }
    write!(stream, "Content-Length: {length}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(&rest[..count.min(length)])
}

/// A complete answer with its length.
fn headed(stream: &mut TcpStream, status: &str, headers: &[String], body: &[u8]) -> io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n")?;
    for header in headers {
        write!(stream, "{header}\r\n")?;
    }
    write!(stream, "Content-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(body)
}
