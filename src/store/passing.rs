//! Errors that may be gone in a moment.

use super::StoreError;

impl StoreError {
    /// Whether the same can be done in a moment: the database is away, or has no room just now.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::TimedOut => true,
            Self::Database(error) => is_passing(error),
            Self::Migrate(_)
            | Self::Occupied { .. }
            | Self::Create { .. }
            | Self::Corrupt { .. }
            | Self::Transition(_) => false,
        }
    }
}

fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        // There is no way to it, or none is free.
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing_code(&code)),
        _ => false,
    }
}

/// A SQLSTATE of PostgreSQL (Appendix A of its manual), or a result code of SQLite.
fn is_passing_code(code: &str) -> bool {
    if code.len() < 5 {
        // SQLITE_BUSY and SQLITE_LOCKED; what is above the lowest byte says more about it.
        return code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6));
    }
    // A connection that broke, no room, and others in the way,
    let is_of_class = ["08", "53", "40"].iter().any(|class| code.starts_with(class));
    // a server that stops, starts or waits to lead, and what took too long.
    let others = ["57P01", "57P02", "57P03", "57P05", "57014", "55P03", "25006", "25P03"];
    is_of_class || others.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_database_says_when_it_is_away_or_busy_passes() {
        for code in ["08006", "53300", "40001", "57P01", "57P03", "25006", "5", "6", "261", "517"] {
            assert!(is_passing_code(code), "{code}");
        }
        for code in ["23505", "42P01", "22001", "28P01", "1", "11", "13", "19", "2067", ""] {
            assert!(!is_passing_code(code), "{code}");
        }
    }

    #[test]
    fn no_way_to_it_passes_and_a_row_that_cannot_be_read_does_not() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        for error in [sqlx::Error::Io(refused), sqlx::Error::PoolTimedOut] {
            assert!(StoreError::Database(error).is_passing());
        }
        assert!(StoreError::TimedOut.is_passing());
        assert!(!StoreError::Database(sqlx::Error::RowNotFound).is_passing());
        let (table, column, row) = ("jobs", "options", "job_1".to_owned());
        let source = "it is missing".into();
        assert!(!StoreError::Corrupt { table, column, row, source }.is_passing());
    }
}
