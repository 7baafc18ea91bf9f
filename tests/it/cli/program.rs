//! Starts the program in a folder of its own, with a time limit, and says how it ended. No oracle: this is the helper.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::artefacts::Run;

/// No process of these tests lives longer than this; a process takes a fraction of a second.
const LIFETIME: Duration = Duration::from_secs(120);

/// Between two looks at something that is about to happen.
const PAUSE: Duration = Duration::from_millis(2);

/// A network and data so small that an epoch of seven batches takes milliseconds.
pub(super) const SMALL: [&str; 5] =
    ["tiny", "data.train=200", "data.test=100", "model.widths=[784,8,10]", "learning.epochs=1"];

/// A folder in which the program is started; it disappears after the test.
pub(super) struct Bench {
    folder: TempDir,
    started: Cell<usize>,
    variables: RefCell<Vec<(String, String)>>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("work")).expect("a folder to work in");
        Self { folder, started: Cell::new(0), variables: RefCell::default() }
    }

    /// A path in the folder in which the program is started.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    /// Sets a variable of the environment of everything that is started from now on.
    pub(super) fn set(&self, name: &str, value: &str) {
        self.variables.borrow_mut().push((name.to_owned(), value.to_owned()));
    }

    /// Writes a file there.
    pub(super) fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, content).expect("write a test file");
        path
    }

    /// The run directory of this name.
    pub(super) fn run_directory(&self, name: &str) -> Run {
        Run::at(self.path("runs").join(name))
    }

    /// Everything in the folder, to see that nothing was left behind.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("")).expect("the folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Folders of sockets that are there now.
    pub(super) fn socket_folders(&self) -> usize {
        let entries = fs::read_dir(self.folder.path()).expect("the folder");
        let is_ours = |name: std::ffi::OsString| name.to_string_lossy().starts_with("asynapse-");
        entries.filter(|entry| is_ours(entry.as_ref().expect("an entry").file_name())).count()
    }

    /// Starts the program through a shell that sets limits first.
    pub(super) fn run_limited(&self, limits: &str, words: &[&str]) -> Outcome {
        let script = format!("{limits}; exec \"$0\" \"$@\"");
        self.start_behind(&["bash", "-c", &script], words).wait()
    }

    /// Starts the program.
    pub(super) fn start(&self, words: &[&str]) -> Running {
        self.start_with(words, [Sink::File, Sink::File])
    }

    /// Starts the program as the last words of another command, such as one that enters a network namespace.
    pub(super) fn start_behind(&self, command: &[&str], words: &[&str]) -> Running {
        self.start_as(command, words, [Sink::File, Sink::File])
    }

    /// Starts the program with a reader of stdout that has gone already.
    pub(super) fn start_unread(&self, words: &[&str]) -> Running {
        self.start_with(words, [Sink::Gone, Sink::File])
    }

    /// The same with both streams.
    pub(super) fn start_unheard(&self, words: &[&str]) -> Running {
        self.start_with(words, [Sink::Gone, Sink::Gone])
    }

    /// Starts the program with a device for stdout.
    pub(super) fn start_into(&self, device: &Path, words: &[&str]) -> Running {
        self.start_with(words, [Sink::Device(device), Sink::File])
    }

    fn start_with(&self, words: &[&str], sinks: [Sink<'_>; 2]) -> Running {
        self.start_as(&[], words, sinks)
    }

    /// Proxies, backtraces and cluster jobs of the tests' surroundings do not reach the program.
    fn start_as(&self, before: &[&str], words: &[&str], sinks: [Sink<'_>; 2]) -> Running {
        let number = self.started.replace(self.started.get() + 1);
        let [stdout, stderr] = ["out", "err"].map(|stream| self.folder.path().join(format!("{number}.{stream}")));
        let program = env!("CARGO_BIN_EXE_asynapse");
        let mut command = Command::new(before.first().unwrap_or(&program));
        command.args(before.get(1..).unwrap_or_default()).args(before.first().map(|_| program));
        for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "RUST_BACKTRACE", "SLURM_ARRAY_TASK_ID"]
        {
            command.env_remove(variable);
        }
        // Whatever it makes for a while it makes here, where a test can see that nothing is left.
        command.env("TMPDIR", self.folder.path());
        command.envs(self.variables.borrow().iter().map(|(name, value)| (name, value)));
        command.args(words).current_dir(self.path("")).stdin(Stdio::null());
        let [out, err] = sinks;
        let child = command.stdout(out.open(&stdout)).stderr(err.open(&stderr)).spawn().expect("start the program");
        Running { child, words: words.join(" "), stdout, stderr, deadline: Instant::now() + LIFETIME }
    }

    /// Runs the program to its end.
    pub(super) fn run(&self, words: &[&str]) -> Outcome {
        self.start(words).wait()
    }

    /// `train` with the small network into `runs/NAME`, with more settings.
    pub(super) fn train(&self, name: &str, more: &[&str]) -> Outcome {
        self.run(&words_of_training(&format!("output.name={name}"), more))
    }

    /// The same, to be waited for later.
    pub(super) fn start_training(&self, name: &str, more: &[&str]) -> Running {
        self.start(&words_of_training(&format!("output.name={name}"), more))
    }

    /// `train --resume runs/NAME` with more words.
    pub(super) fn resume(&self, name: &str, more: &[&str]) -> Outcome {
        let run = format!("runs/{name}");
        self.run(&[&["train", "--resume", run.as_str()], more].concat())
    }
}

fn words_of_training<'w>(name: &'w str, more: &[&'w str]) -> Vec<&'w str> {
    [&["train"], &SMALL[..], &[name], more].concat()
}

/// Where a stream of the program goes.
enum Sink<'d> {
    /// Into a file, to be looked at.
    File,
    /// Into a pipe whose reader has gone.
    Gone,
    /// Into something else that is there already.
    Device(&'d Path),
}

impl Sink<'_> {
    fn open(self, path: &Path) -> Stdio {
        let file = File::create(path).expect("a file for a stream");
        match self {
            Self::File => file.into(),
            Self::Gone => std::io::pipe().expect("a pipe").1.into(),
            Self::Device(device) => File::options().write(true).open(device).expect("a device").into(),
        }
    }
}

/// A process that has not been waited for. It does not outlive the test.
pub(super) struct Running {
    child: Child,
    words: String,
    stdout: PathBuf,
    stderr: PathBuf,
    deadline: Instant,
}

impl Running {
    /// The same with so much time, counted from now.
    pub(super) fn lasting(mut self, time: Duration) -> Self {
        self.deadline = Instant::now() + time;
        self
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `INT`.
    pub(super) fn signal(&self, name: &str) {
        let arguments = [format!("-{name}"), self.child.id().to_string()];
        assert!(Command::new("kill").args(arguments).status().expect("kill").success(), "signal {name}");
    }

    /// Looks until there is something to see; the process has to be alive until then.
    pub(super) fn until<R>(&mut self, what: &str, look: impl Fn() -> Option<R>) -> R {
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            let ended = self.child.try_wait().expect("the state of the process");
            assert!(ended.is_none(), "ended before {what}: {}", self.outcome(ended));
            assert!(Instant::now() < self.deadline, "never saw {what}: {}", self.outcome(None));
            thread::sleep(PAUSE);
        }
    }

    /// Looks until this stands on stderr.
    pub(super) fn until_said(&mut self, part: &str) {
        let stderr = self.stderr.clone();
        self.until(part, || fs::read_to_string(&stderr).is_ok_and(|text| text.contains(part)).then_some(()));
    }

    /// Waits for the end.
    pub(super) fn wait(mut self) -> Outcome {
        loop {
            let ended = self.child.try_wait().expect("the state of the process");
            if ended.is_some() {
                return self.outcome(ended);
            }
            assert!(Instant::now() < self.deadline, "did not end: {}", self.outcome(None));
            thread::sleep(PAUSE);
        }
    }

    fn outcome(&self, status: Option<ExitStatus>) -> Outcome {
        let text = |path| String::from_utf8_lossy(&fs::read(path).expect("a stream")).into_owned();
        let (stdout, stderr) = (text(&self.stdout), text(&self.stderr));
        Outcome { words: self.words.clone(), code: status.and_then(|status| status.code()), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that ended by itself can't be killed any more; that is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a process ended.
pub(super) struct Outcome {
    words: String,
    /// Nothing if a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Outcome {
    /// Checks the exit code.
    #[track_caller]
    pub(super) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Checks that all of these stand on stderr.
    #[track_caller]
    pub(super) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not on stderr: {self}");
        }
        self
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { words, code, stdout, stderr } = self;
        write!(f, "asynapse {words}\n--- code {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
    }
}
