//! Logs what becomes of executions and elements in the database, and checks the joins of the run cycle: each element ends each of its
//! stages once, a stage begins when all elements ended the one before it, and its count of elements is exact.

use anyhow::{Result, ensure};
use lockstep_testbed::Schema;
use tokio_postgres::GenericClient;

use super::{Ground, Scene};

/// A log of the stages of all executions and elements, kept by triggers.
#[derive(Debug)]
pub(crate) struct StageLog {
    client: tokio_postgres::Client,
}

/// An element runs in its row's stage; `left` is the stage that this change ended for it. The functions have the rights of their owner:
/// workers have none at the logs.
const INSTALL: &str = "
    CREATE TABLE element_log (
        number bigserial PRIMARY KEY,
        element bigint NOT NULL,
        execution bigint NOT NULL,
        stage integer NOT NULL,
        begun boolean NOT NULL,
        left_stage integer,
        was_final boolean NOT NULL
    );
    CREATE TABLE execution_log (
        number bigserial PRIMARY KEY,
        execution bigint NOT NULL,
        stage integer NOT NULL,
        elements bigint NOT NULL
    );
    CREATE FUNCTION log_element() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    BEGIN
        IF (new.stage, new.state, new.outcome, new.attempts) IS DISTINCT FROM (old.stage, old.state, old.outcome, old.attempts) THEN
            INSERT INTO element_log (element, execution, stage, begun, left_stage, was_final)
            VALUES (
                new.number, new.execution, new.stage, new.attempts > old.attempts,
                CASE WHEN new.stage > old.stage OR new.outcome <> 'open' THEN old.stage END, old.outcome <> 'open'
            );
        END IF;
        RETURN new;
    END $$;
    CREATE TRIGGER log_element AFTER UPDATE ON element FOR EACH ROW EXECUTE FUNCTION log_element();
    CREATE FUNCTION log_execution() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    BEGIN
        INSERT INTO execution_log (execution, stage, elements) VALUES (new.number, new.stage, new.stage_elements);
        RETURN new;
    END $$;
    CREATE TRIGGER log_new_execution AFTER INSERT ON execution FOR EACH ROW EXECUTE FUNCTION log_execution();
    CREATE TRIGGER log_execution AFTER UPDATE ON execution FOR EACH ROW
        WHEN (new.stage <> old.stage OR new.stage_elements <> old.stage_elements) EXECUTE FUNCTION log_execution();";

/// What must not be in the log, with what it is called.
const WRONG: [(&str, &str); 4] = [
    (
        "an element ended a stage more than once",
        "SELECT element, left_stage FROM element_log WHERE left_stage IS NOT NULL
         GROUP BY element, left_stage HAVING count(*) > 1",
    ),
    (
        "an element changed after its end",
        "SELECT element, stage FROM element_log WHERE was_final",
    ),
    (
        "an element began before all others ended an earlier stage",
        "SELECT begun.element, begun.stage FROM element_log AS begun JOIN element_log AS late USING (execution)
         WHERE begun.begun AND late.number > begun.number AND (late.left_stage < begun.stage OR late.begun AND late.stage < begun.stage)",
    ),
    (
        "an execution went back to an earlier stage",
        "SELECT later.execution, later.stage FROM execution_log AS earlier JOIN execution_log AS later USING (execution)
         WHERE later.number > earlier.number AND later.stage < earlier.stage",
    ),
];

/// The stages of executions that were not halted, whose elements are not as many as those that ended them.
const INEXACT: &str = "
    SELECT stages.execution, stages.stage, stages.elements, count(ended.element)
    FROM (SELECT DISTINCT ON (execution, stage) * FROM execution_log ORDER BY execution, stage, number DESC) AS stages
    JOIN execution ON execution.number = stages.execution AND execution.halt IS NULL
    LEFT JOIN element_log AS ended ON ended.execution = stages.execution AND ended.left_stage = stages.stage
    GROUP BY stages.execution, stages.stage, stages.elements HAVING stages.elements <> count(ended.element)";

/// Where an execution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The index of its stage.
    pub(crate) stage: i32,
    /// How many elements ended that.
    pub(crate) ended: i64,
    /// How many elements run.
    pub(crate) running: i64,
}

impl StageLog {
    /// Installs the triggers.
    pub(crate) async fn install(schema: &Schema) -> Result<Self> {
        let client = schema.connect().await?;
        client.batch_execute(INSTALL).await?;
        Ok(Self { client })
    }

    /// Where the execution with this number is.
    pub(crate) async fn position(&self, execution: i64) -> Result<Position> {
        let select = "SELECT stage, stage_ended,
                (SELECT count(*) FROM element WHERE execution = execution.number AND state = 'RUNNING')
            FROM execution WHERE number = $1";
        let row = self.client.query_one(select, &[&execution]).await?;
        Ok(Position {
            stage: row.get(0),
            ended: row.get(1),
            running: row.get(2),
        })
    }

    /// Checks the log, and prints how many stages were ended.
    #[expect(clippy::print_stdout, reason = "fault tests print their counts")]
    pub(crate) async fn check(&self) -> Result<()> {
        wrong(&self.client).await?;
        let count = "SELECT count(*) FROM element_log WHERE left_stage IS NOT NULL";
        let ended: i64 = self.client.query_one(count, &[]).await?.get(0);
        ensure!(ended > 0, "the log is empty");
        println!("{ended} ends of stages, each once and in order");
        Ok(())
    }
}

/// Fails if something in the log is wrong.
async fn wrong(client: &impl GenericClient) -> Result<()> {
    for (what, select) in WRONG {
        let wrong = client.query(select, &[]).await?;
        ensure!(wrong.is_empty(), "{what}: {wrong:?}");
    }
    let inexact = client.query(INEXACT, &[]).await?;
    ensure!(
        inexact.is_empty(),
        "execution, stage, elements, and how many ended it: {inexact:?}"
    );
    Ok(())
}

/// What the checks are worth: each finds what it is for in a log that was made up.
#[tokio::test]
async fn what_is_wrong_in_a_log_is_found() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let log = StageLog::install(&scene.servers()?.schema).await?;
    let fine = "INSERT INTO execution_log (execution, stage, elements) VALUES (1, 0, 2), (1, 1, 2);
        INSERT INTO element_log (element, execution, stage, begun, left_stage, was_final) VALUES
            (1, 1, 0, true, NULL, false), (2, 1, 0, true, NULL, false), (1, 1, 1, false, 0, false), (2, 1, 1, false, 0, false),
            (1, 1, 1, true, NULL, false), (1, 1, 1, false, 1, false), (2, 1, 1, true, NULL, false), (2, 1, 1, false, 1, false);
        INSERT INTO execution (id, task_number, task, provider, task_arguments, requested, run_on, source, message_id, kind, at, state, in_canary)
            OVERRIDING USER VALUE VALUES ('x', 1, 'x', 'x', '', '', 'DEVICE', 'x', 'x', 'x', now(), 'PENDING', false)";
    log.client
        .batch_execute("ALTER TABLE execution DISABLE TRIGGER USER")
        .await?;
    log.client.batch_execute(fine).await?;
    log.check().await?;
    for (change, expected) in [
        (
            "UPDATE element_log SET left_stage = 0 WHERE number = 6",
            "more than once",
        ),
        (
            "UPDATE element_log SET was_final = true WHERE number = 8",
            "after its end",
        ),
        (
            "UPDATE element_log SET number = 99 WHERE number = 4",
            "before all others",
        ),
        (
            "UPDATE element_log SET number = 99 WHERE number = 2",
            "before all others",
        ),
        (
            "UPDATE execution_log SET number = 99 WHERE stage = 0",
            "went back",
        ),
        (
            "UPDATE execution_log SET elements = 3 WHERE stage = 1",
            "how many ended it",
        ),
        ("DELETE FROM element_log WHERE number = 8", "how many ended it"),
    ] {
        let mut client = scene.servers()?.schema.connect().await?;
        let changed = client.transaction().await?;
        changed.batch_execute(change).await?;
        let found = wrong(&changed).await;
        let told = found.err().map(|error| format!("{error:#}")).unwrap_or_default();
        ensure!(told.contains(expected), "{change}: {told}");
        changed.rollback().await?;
    }
    Ok(())
}
