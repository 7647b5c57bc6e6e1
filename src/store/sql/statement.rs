//! One SQL statement with its parameters, for either database.
//!
//! Both databases take `$1` and the same few types, so that nearly every statement is written
//! once. Where one must differ, [`Statement::differing`] has both texts side by side, with the
//! reason. A list of values is written `in list($1)`.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, FromRow, Postgres, Sqlite};

use super::database::Transaction;
use crate::store::StoreResult;

/// A statement with its parameters.
#[derive(Debug)]
pub(super) struct Statement {
    sqlite: Text,
    postgres: Text,
    parameters: Vec<Parameter>,
}

#[derive(Clone, Debug)]
enum Text {
    Fixed(&'static str),
    /// Put together from constants of this module's siblings; values are always parameters.
    Built(String),
}

/// A value in the place of a `$n`.
#[derive(Clone, Debug)]
pub(super) enum Parameter {
    Text(Option<String>),
    Integer(Option<i64>),
    Real(f64),
    /// A list of texts, written `in list($n)`.
    List(Vec<String>),
}

/// A row that can be read from either database.
pub(super) trait Row:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{}

/// A statement that is the same for both databases.
pub(super) fn sql(text: &'static str) -> Statement {
    Statement::differing(text, text)
}

impl Statement {
    /// A statement that cannot be the same for both; say why beside it.
    pub(super) fn differing(sqlite: &'static str, postgres: &'static str) -> Self {
        Self {
            sqlite: Text::Fixed(sqlite),
            postgres: Text::Fixed(postgres),
            parameters: Vec::new(),
        }
    }

    /// A statement that is put together from fixed pieces, such as the filters of a list.
    pub(super) fn begin(text: &'static str) -> Self {
        let text = Text::Built(text.to_owned());
        Self { sqlite: text.clone(), postgres: text, parameters: Vec::new() }
    }

    /// One more piece.
    pub(super) fn push(mut self, piece: &str) -> Self {
        self.sqlite.push(piece);
        self.postgres.push(piece);
        self
    }

    /// One more piece that ends in the place of a parameter.
    pub(super) fn push_bind(self, piece: &str, value: impl Into<Parameter>) -> Self {
        let number = self.parameters.len() + 1;
        self.push(&format!("{piece}${number}")).bind(value)
    }

    /// One more piece that tells the jobs of one input. Postgres has a hash of it in the index,
    /// because an input may be longer than an entry of an index.
    pub(super) fn push_input(mut self, input: &str) -> Self {
        let number = self.parameters.len() + 1;
        self.sqlite.push(&format!(" and jobs.input = ${number}"));
        self.postgres.push(&format!(
            " and hashtextextended(jobs.input, 0) = hashtextextended(${number}, 0)
              and jobs.input = ${number}"
        ));
        self.bind(input)
    }

    /// One more piece that says whether a column has a text in it; the text has no capital letters
    /// from A to Z, and the column's are taken for small ones.
    ///
    /// differs from postgres: each has a function of its own for it.
    pub(super) fn push_has(mut self, column: &str, text: String) -> Self {
        let number = self.parameters.len() + 1;
        self.sqlite.push(&format!(" and instr(lower({column}), ${number}) > 0"));
        self.postgres.push(&format!(" and strpos(lower({column} collate \"C\"), ${number}) > 0"));
        self.bind(text)
    }

    /// Takes its rows for this transaction alone and passes over those that another has taken.
    /// A SQLite transaction has the only writer: there is nobody to pass over.
    pub(super) fn skip_locked(mut self) -> Self {
        self.postgres.push(" for update skip locked");
        self
    }

    /// The next parameter.
    pub(super) fn bind(mut self, value: impl Into<Parameter>) -> Self {
        self.parameters.push(value.into());
        self
    }

    /// Runs it; returns how many rows were written.
    pub(super) async fn execute(self, tx: &mut Transaction) -> StoreResult<u64> {
        Ok(match tx {
            Transaction::Sqlite(tx) => {
                let arguments = self.sqlite_arguments()?;
                let query =
                    sqlx::query_with::<Sqlite, _>(self.sqlite.spelled(SQLITE_LIST), arguments);
                query.execute(&mut **tx).await?.rows_affected()
            }
            Transaction::Postgres { tx, keeps_prepared } => {
                let arguments = self.postgres_arguments()?;
                let query = sqlx::query_with::<Postgres, _>(
                    self.postgres.spelled(POSTGRES_LIST),
                    arguments,
                );
                query.persistent(*keeps_prepared).execute(&mut **tx).await?.rows_affected()
            }
        })
    }

    /// Runs it; returns its rows.
    pub(super) async fn rows<T: Row>(self, tx: &mut Transaction) -> StoreResult<Vec<T>> {
        Ok(match tx {
            Transaction::Sqlite(tx) => {
                let arguments = self.sqlite_arguments()?;
                let query = sqlx::query_as_with::<Sqlite, T, _>(
                    self.sqlite.spelled(SQLITE_LIST),
                    arguments,
                );
                query.fetch_all(&mut **tx).await?
            }
            Transaction::Postgres { tx, keeps_prepared } => {
                let arguments = self.postgres_arguments()?;
                let query = sqlx::query_as_with::<Postgres, T, _>(
                    self.postgres.spelled(POSTGRES_LIST),
                    arguments,
                );
                query.persistent(*keeps_prepared).fetch_all(&mut **tx).await?
            }
        })
    }

    /// Runs it; returns its first row, if there is one.
    pub(super) async fn row<T: Row>(self, tx: &mut Transaction) -> StoreResult<Option<T>> {
        Ok(self.rows(tx).await?.into_iter().next())
    }

    /// Runs it; returns the first column of its rows.
    pub(super) async fn values<T>(self, tx: &mut Transaction) -> StoreResult<Vec<T>>
    where
        (T,): Row,
    {
        Ok(self.rows::<(T,)>(tx).await?.into_iter().map(|(value,)| value).collect())
    }

    /// Runs it; returns the first column of its first row, if there is one.
    pub(super) async fn value<T>(self, tx: &mut Transaction) -> StoreResult<Option<T>>
    where
        (T,): Row,
    {
        Ok(self.values(tx).await?.into_iter().next())
    }

    fn sqlite_arguments(&self) -> Result<SqliteArguments, sqlx::Error> {
        let mut arguments = SqliteArguments::default();
        for parameter in self.parameters.clone() {
            match parameter {
                Parameter::Text(value) => arguments.add(value),
                Parameter::Integer(value) => arguments.add(value),
                Parameter::Real(value) => arguments.add(value),
                Parameter::List(values) => arguments.add(json(&values)?),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        Ok(arguments)
    }

    fn postgres_arguments(&self) -> Result<PgArguments, sqlx::Error> {
        let mut arguments = PgArguments::default();
        for parameter in self.parameters.clone() {
            match parameter {
                Parameter::Text(value) => arguments.add(value),
                Parameter::Integer(value) => arguments.add(value),
                Parameter::Real(value) => arguments.add(value),
                Parameter::List(values) => arguments.add(values),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        Ok(arguments)
    }
}

impl Text {
    fn push(&mut self, piece: &str) {
        match self {
            Self::Fixed(text) => *self = Self::Built(format!("{text}{piece}")),
            Self::Built(text) => text.push_str(piece),
        }
    }

    /// The text with each `list($n)` as one database spells it, `before` and after the `$n`. It
    /// is made of this program's constants alone: no value is ever part of it.
    fn spelled(&self, before: &str) -> AssertSqlSafe<String> {
        let text = match self {
            Self::Fixed(text) => text,
            Self::Built(text) => text.as_str(),
        };
        let mut pieces = text.split("list(");
        let mut spelled = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (number, rest) = piece.split_once(')').unwrap_or((piece, ""));
            spelled.push_str(&format!("({before}({number})){rest}"));
        }
        AssertSqlSafe(spelled)
    }
}

/// A list is one parameter: for SQLite a JSON array,
const SQLITE_LIST: &str = "select value from json_each";

/// and for Postgres an array.
const POSTGRES_LIST: &str = "select unnest";

fn json(values: &[String]) -> Result<String, sqlx::Error> {
    serde_json::to_string(values).map_err(|error| sqlx::Error::Encode(error.into()))
}

impl From<String> for Parameter {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<&str> for Parameter {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<Option<String>> for Parameter {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<i64> for Parameter {
    fn from(value: i64) -> Self {
        Self::Integer(Some(value))
    }
}

impl From<u32> for Parameter {
    fn from(value: u32) -> Self {
        i64::from(value).into()
    }
}

impl From<Option<i64>> for Parameter {
    fn from(value: Option<i64>) -> Self {
        Self::Integer(value)
    }
}

impl From<crate::clock::Timestamp> for Parameter {
    fn from(value: crate::clock::Timestamp) -> Self {
        value.millis().into()
    }
}

impl From<Option<crate::clock::Timestamp>> for Parameter {
    fn from(value: Option<crate::clock::Timestamp>) -> Self {
        value.map(crate::clock::Timestamp::millis).into()
    }
}

impl From<f64> for Parameter {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<Vec<String>> for Parameter {
    fn from(value: Vec<String>) -> Self {
        Self::List(value)
    }
}
