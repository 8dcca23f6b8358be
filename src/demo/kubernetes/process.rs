//! Children that die with their parent, however it ends, SIGKILL included.
//!
//! Each child is the work of a small `sh` in a process group of its own. That shell holds
//! the read end of a pipe from us: when we are gone the pipe closes and it ends its group
//! (TERM, two seconds later KILL). The group also keeps Ctrl-C on the terminal away from
//! the children, so the parent decides when they go. No `unsafe` is needed for any of it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Runs the program; see the file.
const SUPERVISE: &str = include_str!("supervise.sh");
/// Removes a directory after the last process; see the file.
const SWEEP: &str = include_str!("sweep.sh");
/// How much of a log an error shows, in bytes.
const TAIL: u64 = 4096;

/// A running program. Dropping it kills the program at once.
#[derive(Debug)]
pub struct Child {
    name: &'static str,
    log: PathBuf,
    supervisor: process::Child,
    ended: Option<ExitStatus>,
}

impl Child {
    /// Starts `command` with its standard output and error appended to `log`.
    ///
    /// Taken from the command: program, arguments, environment changes and directory; its
    /// standard input is `/dev/null`. A program that does not exist is seen as exit code
    /// 127, with the shell's sentence in the log.
    ///
    /// # Errors
    /// The log cannot be opened, or `sh` cannot be started.
    pub fn start(name: &'static str, command: &Command, log: &Path) -> io::Result<Self> {
        let out = OpenOptions::new().create(true).append(true).open(log)?;
        let mut shell = shell(SUPERVISE, name);
        shell.arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(key, value),
                None => shell.env_remove(key),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            shell.current_dir(dir);
        }
        let supervisor = shell.stdout(out.try_clone()?).stderr(out).spawn()?;
        Ok(Self {
            name,
            log: log.to_owned(),
            supervisor,
            ended: None,
        })
    }

    /// The name given at the start.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The file with the program's output.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The process group in which the program and all that it starts live; also the
    /// process id of the shell that leads it.
    #[must_use]
    pub fn group(&self) -> u32 {
        self.supervisor.id()
    }

    /// How the program ended, or `None` while it runs. A death by signal shows as exit
    /// code 128 + signal.
    ///
    /// # Errors
    /// The system cannot tell, which does not happen to one's own children.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.supervisor.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Asks the program to end (TERM to its group), waits up to `grace`, then kills what is
    /// left. Returns how it ended.
    ///
    /// # Errors
    /// The system cannot tell how it ended.
    pub fn stop(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        self.signal(Signal::SIGTERM);
        let begun = Instant::now();
        while begun.elapsed() < grace {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill()
    }

    fn kill(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::SIGKILL);
        let status = self.supervisor.wait()?;
        self.ended = Some(status);
        Ok(status)
    }

    /// Only while the leader is not reaped: until then its group id cannot be another's.
    fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            let group = Pid::from_raw(self.group().cast_signed());
            // A group that is already gone is what was wanted.
            let _ = killpg(group, signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Nobody is left to hear of an error here, and the supervisor ends with us anyway.
        let _ = self.kill();
    }
}

/// Removes a directory when this process has ended without removing it itself and the
/// given children are gone. Dropping it calls the removal off.
#[derive(Debug)]
pub struct Sweeper(process::Child);

impl Sweeper {
    /// Watches from now on. `dir` will be removed with all that is in it.
    ///
    /// # Errors
    /// `sh` cannot be started.
    pub fn start(dir: &Path, children: &[&Child]) -> io::Result<Self> {
        let groups = children.iter().map(|child| child.group().to_string());
        shell(SWEEP, "gateward-sweeper")
            .arg(dir)
            .args(groups)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(Self)
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        // Killed before its pipe closes, or it would sweep.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The end of a log, whole lines only; empty when it cannot be read.
#[must_use]
pub fn tail(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        let skipped = length.saturating_sub(TAIL);
        file.seek(SeekFrom::Start(skipped))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let whole = match text.split_once('\n') {
            Some((_, rest)) if skipped > 0 => rest,
            _ => &text,
        };
        Ok(whole.trim_end().to_owned())
    };
    read().unwrap_or_default()
}

/// `sh` in its own process group, holding the read end of a pipe from us.
fn shell(script: &str, name: &str) -> Command {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(script)
        .arg(name)
        .stdin(Stdio::piped())
        .process_group(0);
    shell
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    #[test]
    fn a_childs_exit_code_and_output_arrive() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut command = sh("echo \"$GREETING\" in $PWD; echo oops >&2; exit 7");
        command.env("GREETING", "hello").current_dir("/");
        let mut child = Child::start("probe", &command, &log).unwrap();
        assert_eq!(wait(&mut child).code(), Some(7));
        assert_eq!(tail(&log), "hello in /\noops");
        assert_group_gone(child.group());
    }

    #[test]
    fn a_program_that_is_not_there_is_named_in_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut child = Child::start("probe", &Command::new("/no/such/program"), &log).unwrap();
        assert_eq!(wait(&mut child).code(), Some(127));
        assert!(tail(&log).contains("/no/such/program"), "{}", tail(&log));
    }

    #[test]
    fn stop_lets_a_program_tidy_up_and_takes_what_it_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let script =
            "sleep 600 & trap 'echo tidy; exit 3' TERM; echo up; while :; do sleep 0.05; done";
        let mut child = Child::start("probe", &sh(script), &log).unwrap();
        until("the child is up", || tail(&log) == "up");
        assert_eq!(child.stop(Duration::from_secs(5)).unwrap().code(), Some(3));
        assert!(tail(&log).ends_with("tidy"), "{}", tail(&log));
        assert_group_gone(child.group());
    }

    #[test]
    fn stop_kills_a_program_that_will_not_listen() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let script = "trap '' TERM; echo up; while :; do sleep 0.05; done";
        let mut child = Child::start("probe", &sh(script), &log).unwrap();
        until("the child is up", || tail(&log) == "up");
        let begun = Instant::now();
        child.stop(Duration::from_millis(200)).unwrap();
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "took {:?}",
            begun.elapsed()
        );
        assert_group_gone(child.group());
    }

    #[test]
    fn a_dropped_child_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let child = Child::start("probe", &sh("sleep 600"), &dir.path().join("log")).unwrap();
        let group = child.group();
        assert!(alive(group));
        drop(child);
        assert_group_gone(group);
    }

    #[test]
    fn a_parent_killed_by_sigkill_leaves_neither_process_nor_directory() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("swept");
        std::fs::create_dir(&dir).unwrap();
        let mut parent = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", HELPER, "--ignored", "--nocapture"])
            .env("GATEWARD_TEST_SWEPT", &dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let groups: Vec<u32> = BufReader::new(parent.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                let numbers = line.split_once("groups: ")?.1;
                Some(numbers.split(' ').map(|n| n.parse().unwrap()).collect())
            })
            .expect("the helper says which groups it started");
        assert_eq!(groups.len(), 2);
        assert!(groups.iter().all(|group| alive(*group)));
        parent.kill().unwrap();
        parent.wait().unwrap();
        groups.iter().for_each(|group| assert_group_gone(*group));
        until("the directory is swept", || !dir.exists());
    }

    const HELPER: &str =
        "demo::kubernetes::process::tests::helper_that_starts_children_and_waits_to_be_killed";

    #[test]
    #[ignore = "the victim of the SIGKILL test, which runs it"]
    #[expect(
        clippy::print_stdout,
        reason = "its standard output is what the test reads"
    )]
    fn helper_that_starts_children_and_waits_to_be_killed() {
        let Some(dir) = std::env::var_os("GATEWARD_TEST_SWEPT").map(PathBuf::from) else {
            return;
        };
        let meek = Child::start("meek", &sh("sleep 600"), &dir.join("meek")).unwrap();
        // Writes into the directory after TERM: the sweeper must wait for it.
        let mut slow = sh("trap 'sleep 1; mkdir more; exit' TERM; sleep 600 & wait");
        let slow = Child::start("slow", slow.current_dir(&dir), &dir.join("slow")).unwrap();
        let _sweeper = Sweeper::start(&dir, &[&meek, &slow]).unwrap();
        println!("groups: {} {}", meek.group(), slow.group());
        std::thread::sleep(Duration::from_secs(600));
    }

    #[test]
    fn a_dropped_sweeper_sweeps_nothing() {
        let dir = tempfile::tempdir().unwrap();
        drop(Sweeper::start(dir.path(), &[]).unwrap());
        std::thread::sleep(Duration::from_millis(100));
        assert!(dir.path().exists());
    }

    #[test]
    fn a_tail_begins_with_a_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let lines: String = (0..2000).map(|n| format!("line {n}\n")).collect();
        std::fs::write(&log, lines).unwrap();
        let tail = tail(&log);
        assert!(
            tail.starts_with("line ") && tail.ends_with("line 1999"),
            "{tail}"
        );
        assert!(tail.len() < TAIL as usize);
    }

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script);
        command
    }

    fn wait(child: &mut Child) -> ExitStatus {
        until("the child has ended", || child.ended().unwrap().is_some());
        child.ended().unwrap().unwrap()
    }

    fn alive(group: u32) -> bool {
        killpg(Pid::from_raw(group.cast_signed()), None).is_ok()
    }

    fn assert_group_gone(group: u32) {
        until("the process group is gone", || !alive(group));
    }

    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "not within 10 s: {what}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
