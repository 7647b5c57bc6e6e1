//! What a program that has been taken over can do inside the box.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use ffmpeg::{Layer, Sandbox, Scope};
use tempfile::TempDir;

use crate::shared::{Port, command};

/// What must go on working inside.
const ITS_WORK: &[&str] = &[
    "read the input",
    "write an output",
    "rename an output",
    "make a folder for outputs",
    "make a thread",
];

/// What works outside, for whoever runs these tests, and must not inside.
const REFUSED: &[&str] = &[
    "read a private file",
    "read the users",
    "list a private folder",
    "write the input",
    "empty the input",
    "empty a private file",
    "write beside a private file",
    "remove a private file",
    "move a private file",
    "link a private file",
    "put a link in the way",
    "put a pipe in the way",
    "open a private file to all",
    "open by a structure",
    "watch a private folder",
    "start a shell",
    "fork",
    "run from memory",
    "leave the group",
    "outlive the parent",
    "connect by TCP",
    "send by UDP",
    "ask the kernel for routes",
    "name a socket",
    "name an abstract socket",
    "signal another process",
    "signal a thread of another process",
    "read the environment of another process",
    "ask for the limits of another process",
    "take a handle of another process",
    "share memory by number",
];

/// What does not work everywhere outside either: it depends on file system, kernel or user.
const REFUSED_IN_ANY_CASE: &[&str] = &[
    "mark a private file",
    "connect by TCP over IPv6",
    "connect by multipath TCP",
    "connect by sending",
    "trace another process",
    "read the memory of another process",
    "make a user namespace",
    "mount",
    "set up io_uring",
    "load a program into the kernel",
    "keep a key",
    "make a call nobody knows",
];

/// A program that tries things, and what it tries them on.
struct Attempts {
    folder: TempDir,
    program: PathBuf,
    victim: Child,
    port: Port,
}

impl Attempts {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("attempts");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/box/attempts.c");
        let mut compiler = command("cc");
        compiler.args(["-O1", "-pthread", "-o"]).args([&program, &source]);
        assert!(compiler.status().unwrap().success(), "cc compiles attempts.c");
        let victim = command("sleep").arg("600").env("SECRET", "1").spawn().unwrap();
        Self { folder, program, victim, port: Port::serving(vec![]) }
    }

    /// How `name` goes, everything being as it was.
    fn make(&self, name: &str, sandbox: Option<(Sandbox, Option<u16>)>) -> String {
        let at = |name: &str| self.folder.path().join(name);
        for made in ["made", "private"] {
            std::fs::remove_dir_all(at(made)).unwrap_or_default();
            std::fs::create_dir(at(made)).unwrap();
        }
        std::fs::write(at("given"), "given").unwrap();
        std::fs::write(at("private/file"), "private").unwrap();
        let mut command = command(&self.program);
        command.arg(name).args([at("given"), at("made"), at("private/file")]);
        command.args([self.victim.id().to_string(), self.port.number.to_string()]);
        command.stdin(Stdio::null());
        if let Some((sandbox, tcp_port)) = sandbox {
            let scope = Scope {
                read: vec![at("given")],
                write: vec![at("made")],
                tcp_port,
                devices: vec![],
            };
            sandbox.confine(&mut command, &scope).unwrap();
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(!said.is_empty(), "{name}: {output:?}");
        if sandbox.is_some() {
            let given = std::fs::read(at("given")).unwrap();
            let private = std::fs::read(at("private/file")).unwrap();
            assert_eq!((&given[..], &private[..]), (&b"given"[..], &b"private"[..]), "{name}");
        }
        said
    }
}

impl Drop for Attempts {
    fn drop(&mut self) {
        self.victim.kill().unwrap();
        self.victim.wait().unwrap();
    }
}

/// The attempts among `names` that do not go as `wanted`.
fn that_went_otherwise(
    attempts: &Attempts,
    names: &[&str],
    sandbox: Option<Sandbox>,
    wanted: fn(&str) -> bool,
) -> Vec<String> {
    let outcomes =
        names.iter().map(|name| (name, attempts.make(name, sandbox.map(|box_| (box_, None)))));
    outcomes
        .filter(|(_, outcome)| !wanted(outcome))
        .map(|(name, outcome)| format!("{name}: {outcome}"))
        .collect()
}

fn is_done(outcome: &str) -> bool {
    outcome == "done"
}

fn is_refused(outcome: &str) -> bool {
    ["EPERM", "EACCES", "ENOSYS", "EXDEV"].contains(&outcome)
}

const NOTHING: &[String] = &[];

#[test]
fn outside_the_box_everything_works_that_is_refused_inside() {
    let attempts = Attempts::new();
    let names = [ITS_WORK, REFUSED].concat();
    assert_eq!(that_went_otherwise(&attempts, &names, None, is_done), NOTHING);
}

#[test]
fn a_program_inside_can_do_its_work_and_nothing_else() {
    let (attempts, sandbox) = (Attempts::new(), Some(Sandbox::detect()));
    assert_eq!(that_went_otherwise(&attempts, ITS_WORK, sandbox, is_done), NOTHING);
    let refused = [REFUSED, REFUSED_IN_ANY_CASE].concat();
    assert_eq!(that_went_otherwise(&attempts, &refused, sandbox, is_refused), NOTHING);
    assert_eq!(attempts.port.connections(), 0);
}

#[test]
fn the_first_landlock_and_seccomp_refuse_all_that_the_newest_do() {
    let (attempts, sandbox) = (Attempts::new(), Some(Sandbox::detect().with_first_landlock()));
    assert_eq!(that_went_otherwise(&attempts, ITS_WORK, sandbox, is_done), NOTHING);
    let more = ["have another process signalled"];
    let refused = [REFUSED, REFUSED_IN_ANY_CASE, &more].concat();
    assert_eq!(that_went_otherwise(&attempts, &refused, sandbox, is_refused), NOTHING);
    assert_eq!(attempts.port.connections(), 0);
}

#[test]
fn a_port_that_is_given_is_reached_by_tcp_and_no_other_port_and_by_no_other_way() {
    let attempts = Attempts::new();
    let sandbox = Sandbox::detect();
    assert!(sandbox.has_tcp_ports(), "these tests need Linux 6.7 or later");
    let (port, other) = (Some(attempts.port.number), Some(attempts.port.number ^ 1));
    assert_eq!(attempts.make("connect to the port", Some((sandbox, port))), "done");
    assert!(is_refused(&attempts.make("connect to the port", Some((sandbox, other)))));
    let ways = [
        "connect by TCP over IPv6",
        "connect by multipath TCP",
        "connect by sending",
        "send by UDP",
        "ask the kernel for routes",
        "name a socket",
        "read a private file",
        "fork",
    ];
    for way in ways {
        let outcome = attempts.make(way, Some((sandbox, port)));
        assert!(is_refused(&outcome), "{way}: {outcome}");
    }
}

#[test]
fn namespaces_alone_part_a_program_from_the_network_and_from_nothing_else() {
    let alone = Sandbox::detect().without_landlock().without_seccomp();
    assert_eq!(alone.layers(), [Layer::Namespaces], "these tests need namespaces");
    let attempts = Attempts::new();
    for sandbox in [alone, alone.with_own_users()] {
        let network = [
            "connect by TCP",
            "connect by TCP over IPv6",
            "connect by multipath TCP",
            "connect by sending",
            "send by UDP",
        ];
        let is_parted = |outcome: &str| outcome != "done";
        let done = that_went_otherwise(&attempts, &network, Some(sandbox), is_parted);
        assert_eq!(done, NOTHING);
        // The names are its own as well, but there they are.
        let rest = ["read a private file", "fork", "name an abstract socket"];
        let rest = [ITS_WORK, &rest].concat();
        assert_eq!(that_went_otherwise(&attempts, &rest, Some(sandbox), is_done), NOTHING);
    }
    assert_eq!(attempts.port.connections(), 0);
}

#[test]
fn a_program_with_a_user_of_its_own_can_do_its_work_and_nothing_else() {
    let (attempts, sandbox) = (Attempts::new(), Some(Sandbox::detect().with_own_users()));
    assert_eq!(that_went_otherwise(&attempts, ITS_WORK, sandbox, is_done), NOTHING);
    let refused = [REFUSED, REFUSED_IN_ANY_CASE].concat();
    assert_eq!(that_went_otherwise(&attempts, &refused, sandbox, is_refused), NOTHING);
    assert_eq!(attempts.port.connections(), 0);
}

#[test]
fn a_program_with_a_user_of_its_own_has_no_power_at_all_and_so_many_threads() {
    let sandbox = Sandbox::detect().with_own_users();
    let status = told_inside(sandbox, "/proc/self/status");
    for powers in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        let line = status.lines().find(|line| line.starts_with(powers)).unwrap();
        assert_eq!(line.split_whitespace().nth(1), Some("0000000000000000"), "{line}");
    }
    let limits = told_inside(sandbox, "/proc/self/limits");
    let threads = limits.lines().find(|line| line.starts_with("Max processes")).unwrap();
    assert_eq!(threads.split_whitespace().nth(2), Some("4096"), "{threads}");
}

/// What the file at `path` is to a program inside.
fn told_inside(sandbox: Sandbox, path: &str) -> String {
    let mut command = command("/bin/cat");
    command.arg(path);
    let scope = Scope { read: vec!["/proc".into()], ..Scope::default() };
    sandbox.confine(&mut command, &scope).unwrap();
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[test]
fn a_superuser_inside_has_no_power_but_over_permissions_of_files() {
    let status = told_inside(Sandbox::detect(), "/proc/self/status");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let power = u64::from_str_radix(&field("CapEff:"), 16).unwrap();
    assert_eq!(power & !0b10, 0, "only CAP_DAC_OVERRIDE, which is bit 1: {power:x}");
    assert_eq!((&*field("NoNewPrivs:"), &*field("Seccomp:")), ("1", "2"));
}
