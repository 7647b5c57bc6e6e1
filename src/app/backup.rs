//! `reelway backup` and `reelway restore`: the embedded database as one file.

use std::path::{Path, PathBuf};

use anyhow::bail;
use bytesize::ByteSize;
use serde_json::json;

use super::DataDir;
use super::command::{failed, load};
use crate::cli::{BackupArgs, CliError, RestoreArgs, Settled, Terminal};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Config, Database, Purpose, Storage};
use crate::store::sql::{BackupError, Copied, back_up, restore as put_back};

/// `reelway backup`.
///
/// # Errors
///
/// The database is on a server, or it cannot be copied.
pub async fn backup(it: &Settled<BackupArgs>, terminal: &Terminal) -> Result<(), CliError> {
    let (config, _) = load(&it.settings, Purpose::Other)?;
    let copied = copy(&config, &it.args.to).await.map_err(|error| failed(&error))?;
    let to = it.args.to.display().to_string();
    if !terminal.is_read_by_a_person() {
        let Copied { bytes, jobs } = copied;
        return terminal.json(&json!({"backup": to, "bytes": bytes, "jobs": jobs}));
    }
    terminal.line(&format!("{} in {to}", told(copied)))?;
    if let Storage::Folder(folder) = &config.storage {
        let folder = folder.display();
        terminal
            .line(&format!("the outputs are not in it: copy {folder} after it, with any tool"))?;
    }
    terminal.line(&format!("put it back with: reelway restore {to}"))
}

async fn copy(config: &Config, to: &Path) -> anyhow::Result<Copied> {
    let from = database(config, "pg_dump --format=custom")?;
    if to.is_dir() {
        bail!("{0} is a folder; name the file, such as {0}/reelway.backup", to.display());
    }
    back_up(&from, to).await.map_err(with_advice)
}

/// `reelway restore`.
///
/// # Errors
///
/// A server runs on the data folder, there is a database already, or the file is no whole copy.
pub async fn restore(it: &Settled<RestoreArgs>, terminal: &Terminal) -> Result<(), CliError> {
    let (config, _) = load(&it.settings, Purpose::Other)?;
    let RestoreArgs { from, force } = &it.args;
    let restored = restored(&config, from, *force).await.map_err(|error| failed(&error))?;
    let (copied, aside) = restored;
    let aside = aside.map(|path| path.display().to_string());
    if !terminal.is_read_by_a_person() {
        let Copied { bytes, jobs } = copied;
        let from = from.display().to_string();
        return terminal
            .json(&json!({"restored": from, "bytes": bytes, "jobs": jobs, "before": aside}));
    }
    terminal.line(&format!("{} are back", told(copied)))?;
    if let Some(aside) = aside {
        terminal.line(&format!("what was there before is in {aside}"))?;
    }
    terminal.line("start the server: it goes on with what was not done when the copy was made")
}

async fn restored(
    config: &Config,
    from: &Path,
    force: bool,
) -> anyhow::Result<(Copied, Option<PathBuf>)> {
    let to = database(config, "pg_restore")?;
    let _alone = DataDir::lock(&config.data_dir)?;
    if to.exists() && !force {
        bail!(
            "there is a database at {} already; --force puts the copy in its place and keeps it \
             beside",
            to.display()
        );
    }
    let mark = format!(".before-{}", SystemClock.now().millis());
    put_back(from, &to, &mark).await.map_err(with_advice)
}

/// The database's file; a server's database has tools of its own.
fn database(config: &Config, tool: &str) -> anyhow::Result<PathBuf> {
    match &config.database {
        Database::Sqlite(path) => Ok(path.clone()),
        Database::Postgres(_) => {
            bail!("the database is a PostgreSQL server's, which has a better tool: {tool}")
        }
    }
}

fn told(Copied { bytes, jobs }: Copied) -> String {
    let jobs = if jobs == 1 { "1 job".to_owned() } else { format!("{jobs} jobs") };
    format!("{jobs}, {}", ByteSize(bytes))
}

fn with_advice(error: BackupError) -> anyhow::Error {
    let advice = match &error {
        BackupError::NoDatabase(_) => Some("is REELWAY_DATA_DIR right, and the path?"),
        BackupError::Exists(_) => Some("choose another name, or remove it first"),
        BackupError::Newer { .. } => {
            Some("restore it with the version that made it, or a later one")
        }
        BackupError::Damaged { .. } => Some("was it copied whole? take an older backup"),
        BackupError::File { .. } | BackupError::Database(_) => None,
    };
    match advice {
        Some(advice) => anyhow::anyhow!(advice).context(error.to_string()),
        None => error.into(),
    }
}
