//! Where names lead to: asked of the system, or looked up in a table.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

/// How long the system may take to resolve a name.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Turns a host name into addresses. Judging them is not its business.
#[async_trait]
pub trait Resolve: Send + Sync + std::fmt::Debug {
    /// Every address of `host`.
    ///
    /// # Errors
    ///
    /// The name has no address, or nobody answers in time.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver, with an end to its patience.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::time::timeout(LOOKUP_TIMEOUT, tokio::net::lookup_host((host, 0)))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(found.map(|socket| socket.ip()).collect())
    }
}

/// A fixed table: for tests, rebinding included.
#[derive(Debug, Default)]
pub struct TableResolver {
    names: Mutex<HashMap<String, Answers>>,
}

#[derive(Debug, Default)]
struct Answers {
    in_order: Vec<Vec<IpAddr>>,
    asked: usize,
}

impl TableResolver {
    /// The same table with one more answer for `name`. The answers of a name are given in the
    /// order in which they were added; the last one is repeated. What is no address is left out.
    #[must_use]
    pub fn with(self, name: &str, addresses: &[&str]) -> Self {
        let answer = addresses.iter().filter_map(|text| text.parse().ok()).collect();
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name.to_owned())
            .or_default()
            .in_order
            .push(answer);
        self
    }

    /// How often `name` was asked for.
    #[must_use]
    pub fn asked(&self, name: &str) -> usize {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(name).map_or(0, |answers| answers.asked)
    }
}

#[async_trait]
impl Resolve for TableResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = names.get_mut(host).ok_or(io::ErrorKind::NotFound)?;
        let index = answers.asked.min(answers.in_order.len().saturating_sub(1));
        answers.asked += 1;
        Ok(answers.in_order.get(index).cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_knows_localhost_and_does_not_know_an_invalid_name() {
        let found = SystemResolver.resolve("localhost").await.expect("addresses");
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
        assert!(SystemResolver.resolve("no-such-name.invalid").await.is_err());
    }

    #[tokio::test]
    async fn a_table_gives_its_answers_in_order_and_repeats_the_last() {
        let table = TableResolver::default().with("a", &["1.1.1.1"]).with("a", &["10.0.0.1"]);
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.extend(table.resolve("a").await.expect("an answer"));
        }
        assert_eq!(
            seen.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["1.1.1.1", "10.0.0.1", "10.0.0.1"]
        );
        assert_eq!(table.asked("a"), 3);
        assert!(table.resolve("b").await.is_err());
    }
}
