//! The settings as command-line flags.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::setting::SETTINGS;

/// The heading under which the settings stand in `--help`.
const HEADING: &str = "Settings (each also an environment variable and a key of reelway.toml)";

/// The settings given as flags, and the file that holds others.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config FILE`; without it `reelway.toml` in the working directory, if it is there.
    pub file: Option<PathBuf>,
    pub(super) values: BTreeMap<&'static str, String>,
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config_file")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("The file with settings [default: reelway.toml, if it is there]")
            .help_heading(HEADING);
        SETTINGS.iter().fold(command.arg(file), |command, setting| {
            let default = match setting.default {
                "" => String::new(),
                default => format!(" [default: {default}]"),
            };
            let env = setting.env.join(", ");
            let arg = Arg::new(setting.key)
                .long(setting.flag())
                .value_name(setting.shape)
                .help(format!("{}{default} [env: {env}]", setting.help))
                .help_heading(HEADING);
            command.arg(if setting.is_switch() {
                arg.num_args(0..=1).require_equals(true).default_missing_value("true")
            } else {
                arg
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let values = SETTINGS
            .iter()
            .filter_map(|setting| {
                let value = matches.get_one::<String>(setting.key)?;
                Some((setting.key, value.clone()))
            })
            .collect();
        Ok(Self { file: matches.get_one("config_file").cloned(), values })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
