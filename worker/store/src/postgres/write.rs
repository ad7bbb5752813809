use std::pin::pin;
use std::task::Poll;

use futures_util::future::{join, try_join_all};
use futures_util::poll;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use super::error::{classify, unavailable};
use super::session::Session;
use crate::StoreError;

/// A statement whose parameters are columns of rows as arrays, or values that all rows share.
pub(super) struct Write<'a> {
    statement: &'static str,
    parameters: Vec<Box<dyn ToSql + Send + Sync + 'a>>,
}

impl<'a> Write<'a> {
    pub(super) fn new(statement: &'static str) -> Self {
        Self {
            statement,
            parameters: Vec::new(),
        }
    }

    /// Adds the next parameter: the values of one column for all rows.
    pub(super) fn column<T: ToSql + Send + Sync + 'a>(mut self, values: impl IntoIterator<Item = T>) -> Self {
        let values: Vec<T> = values.into_iter().collect();
        self.parameters.push(Box::new(values));
        self
    }

    /// Adds the next parameter: one value for all rows.
    pub(super) fn value<T: ToSql + Send + Sync + 'a>(mut self, value: T) -> Self {
        self.parameters.push(Box::new(value));
        self
    }

    async fn send(&self, session: &Session, statement: &Statement) -> Result<u64, tokio_postgres::Error> {
        let parameters = self
            .parameters
            .iter()
            .map(|parameter| -> &(dyn ToSql + Sync) { parameter.as_ref() });
        session.execute_raw(statement, parameters).await
    }
}

/// Sends all writes at once and waits for all answers. The transaction stays open.
pub(super) async fn send(
    operation: &'static str,
    session: &Session,
    writes: &[Write<'_>],
) -> Result<(), StoreError> {
    let sent = async {
        let prepare = try_join_all(writes.iter().map(|write| session.prepare_cached(write.statement)));
        let statements = prepare.await?;
        let sends = writes
            .iter()
            .zip(&statements)
            .map(|(write, statement)| write.send(session, statement));
        try_join_all(sends).await
    };
    session.answer(operation, sent).await.map(drop)
}

/// Sends all writes and `COMMIT` at once and waits for all answers. The transaction is committed only if all answers are
/// successes: after a failed statement, the server answers `COMMIT` with `ROLLBACK`, which counts as a success.
pub(super) async fn commit(session: Session, writes: &[Write<'_>]) -> Result<(), StoreError> {
    const OPERATION: &str = "commit a batch";
    // The statements are usually in the cache of the session. If one is not, it must be prepared before `COMMIT` is sent.
    let prepare = try_join_all(writes.iter().map(|write| session.prepare_cached(write.statement)));
    let statements = session.answer(OPERATION, prepare).await?;
    let (written, committed) = {
        let sends = writes
            .iter()
            .zip(&statements)
            .map(|(write, statement)| write.send(&session, statement));
        let mut written = pin!(try_join_all(sends));
        // The first poll sends every write, or fails if one cannot be encoded. In that case others may have been sent, and
        // `COMMIT` must not follow, so the session is closed.
        let first = poll!(&mut written);
        if let Poll::Ready(Err(error)) = first {
            return Err(classify(OPERATION, error));
        }
        let written = async {
            match first {
                Poll::Ready(answers) => answers,
                Poll::Pending => written.await,
            }
        };
        let both = join(written, session.batch_execute("COMMIT"));
        tokio::time::timeout(session.answer_timeout(), both)
            .await
            .map_err(|elapsed| unavailable(OPERATION, elapsed))?
    };
    // After an answer to `COMMIT` no transaction is open, whether it committed or rolled back.
    let ended = committed.is_ok();
    let outcome = written
        .map(drop)
        .and(committed)
        .map_err(|error| classify(OPERATION, error));
    if ended {
        session.give_back();
    }
    outcome
}
