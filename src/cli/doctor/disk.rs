//! Whether the data folder can be written to, and how much room it has.

use std::path::Path;

use rustix::fs::statvfs;

use super::super::output::size;
use super::Check;

/// Below this a single large input may not fit.
const LITTLE_BYTES: u64 = 10_000_000_000;

/// Below this work cannot be expected to succeed.
const TOO_LITTLE_BYTES: u64 = 1_000_000_000;

/// The data folder, which need not be there yet.
pub(super) fn check(data_dir: &Path) -> Vec<Check> {
    let path = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let there = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    vec![writable(&path, there), room(there)]
}

fn writable(path: &Path, there: &Path) -> Check {
    let shown = path.display();
    let fix = "give the server a folder of its own with --data-dir or REELWAY_DATA_DIR";
    match tempfile::tempfile_in(there) {
        Ok(_) if path == there => Check::good("data", format!("{shown} can be written to")),
        Ok(_) => Check::good("data", format!("{shown} is not there and can be made")),
        Err(error) => Check::bad("data", format!("{shown} cannot be written to: {error}"), fix),
    }
}

fn room(there: &Path) -> Check {
    match statvfs(there) {
        Ok(disk) => judge(disk.f_bavail.saturating_mul(disk.f_frsize)),
        Err(error) => Check::doubtful(
            "disk",
            format!("the free space of {} is not known: {error}", there.display()),
            "look for yourself with `df`",
        ),
    }
}

fn judge(free: u64) -> Check {
    let found = format!("{} are free", size(free));
    let fix = "make room, or put --data-dir on a larger disk: inputs and outputs are kept there";
    match free {
        ..TOO_LITTLE_BYTES => Check::bad("disk", found, fix),
        TOO_LITTLE_BYTES..LITTLE_BYTES => Check::doubtful("disk", found, fix),
        _ => Check::good("disk", found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn free_space_is_judged_by_what_an_input_may_take() {
        let verdicts = [0, 999_999_999, 1_000_000_000, 9_999_999_999, 10_000_000_000]
            .map(|free| judge(free).verdict);
        use Verdict::{Bad, Doubtful, Good};
        assert_eq!(verdicts, [Bad, Bad, Doubtful, Doubtful, Good]);
    }

    #[test]
    fn a_folder_that_is_not_there_can_be_made_where_its_parent_can_be_written_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let checks = check(&folder.path().join("a/b"));
        assert_eq!(checks[0].verdict, Verdict::Good);
        assert!(checks[0].found.ends_with("can be made"), "{:?}", checks[0]);
        assert!(!folder.path().join("a").exists(), "doctor must not make it");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("a file");
        assert_eq!(check(&file.join("data"))[0].verdict, Verdict::Bad);
    }
}
