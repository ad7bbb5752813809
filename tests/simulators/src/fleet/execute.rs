use serde_json::Value;

use super::behaviour::Behaviour;
use super::command::{Caller, Command, Mode};
use super::failure::Failure;
use super::injection::{self, Fault, When};
use super::respond::Closed;
use super::rpc::RunCommands;
use super::shared::{Accounts, Shared};

/// Why a request ends before all commands are executed.
enum Ended {
    Failed(Failure),
    Closed,
}

/// Runs the commands of a request one after the other until one fails, with the faults that were injected. Other requests to the device
/// may run in between.
pub(crate) async fn execute(
    shared: &Shared,
    index: usize,
    request: &RunCommands,
    accounts: &Accounts,
) -> Result<Value, Closed> {
    let mut mode = Mode::new(request.is_indented());
    let mut outputs = Vec::with_capacity(request.commands.len());
    for command in &request.commands {
        match step(shared, index, request, accounts, &mut mode, command).await {
            Ok(output) => outputs.push(output),
            Err(Ended::Failed(failure)) => return Ok(request.failed(&failure, outputs)),
            Err(Ended::Closed) => return Err(Closed),
        }
    }
    Ok(request.succeeded(outputs))
}

async fn step(
    shared: &Shared,
    index: usize,
    request: &RunCommands,
    accounts: &Accounts,
    mode: &mut Mode,
    command: &Command,
) -> Result<Value, Ended> {
    let line = command.line.trim();
    interrupt(shared, index, line, When::Before).await?;
    let mut output = {
        let mut state = shared.device(index);
        let state = &mut *state;
        // A configuration has thousands of lines, and its text is recorded with the commit.
        if !mode.configures(line) {
            state.commands.push(line.to_owned());
        }
        if mode.restarts(line) {
            state.configurations.restart(&state.device, shared.clock.now());
            return Err(Ended::Closed);
        }
        let caller = Caller {
            user: &accounts.username,
            enable_password: accounts.enable_password.as_deref(),
            clock: &shared.clock,
        };
        mode.run(
            &state.device,
            &mut state.configurations,
            caller,
            command,
            request.format,
        )
        .map_err(Ended::Failed)?
    };
    if let (Some(Value::String(text)), Behaviour::Floods(bytes)) =
        (output.get_mut("output"), shared.device(index).device.behaviour)
    {
        text.extend(std::iter::repeat_n('#', bytes));
    }
    interrupt(shared, index, line, When::After).await?;
    Ok(output)
}

/// Waits while the command is held, and does what was injected.
async fn interrupt(shared: &Shared, index: usize, line: &str, when: When) -> Result<(), Ended> {
    let (hold, fault) = {
        let mut state = shared.device(index);
        let hold = state
            .holds
            .find(|(pattern, held)| *held == when && pattern.is_match(line));
        let fault = injection::meet(&mut state.injections, line, when);
        (hold, fault)
    };
    if let Some(hold) = hold {
        hold.pass().await;
    }
    match fault {
        None => Ok(()),
        Some(Fault::Refused(reason)) => Err(Ended::Failed(Failure::could_not_run(reason))),
        Some(Fault::Lost) => Err(Ended::Closed),
        Some(Fault::Unreachable) => {
            shared.device(index).device.behaviour = Behaviour::Unreachable;
            Err(Ended::Closed)
        }
        Some(Fault::Hangs) => std::future::pending().await,
        Some(Fault::Delayed(delay)) => {
            tokio::time::sleep(delay).await;
            Ok(())
        }
        Some(Fault::Restarts) => {
            shared.restart(index);
            Err(Ended::Closed)
        }
        Some(Fault::Configured(commands)) => {
            let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
            let configured = shared.configure(index, &commands);
            configured.map_err(|problem| Ended::Failed(problem.into()))
        }
    }
}
