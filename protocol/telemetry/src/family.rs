use metrics::{Counter, Gauge, Histogram, Label, SharedString};

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A value that only grows, starting at zero with the process.
    Counter,
    /// A current value.
    Gauge,
    /// A distribution of durations in seconds.
    Histogram,
}

/// The definition of a metric with this many labels.
#[derive(Clone, Copy, Debug)]
pub struct Family<const LABELS: usize> {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) labels: [&'static str; LABELS],
    pub(crate) help: &'static str,
}

/// The definition of a metric, independent of its number of labels.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// The metric's name.
    pub name: &'static str,
    /// The metric's type.
    pub form: Form,
    /// The names of the labels.
    pub labels: &'static [&'static str],
    /// The help text.
    pub help: &'static str,
}

impl<const LABELS: usize> Family<LABELS> {
    pub(crate) const fn describe(&'static self) -> Description {
        Description {
            name: self.name,
            form: self.form,
            labels: &self.labels,
            help: self.help,
        }
    }

    pub(crate) fn counter<T: Into<SharedString>>(&self, values: [T; LABELS]) -> Counter {
        metrics::counter!(self.name, self.labelled(values))
    }

    pub(crate) fn gauge<T: Into<SharedString>>(&self, values: [T; LABELS]) -> Gauge {
        metrics::gauge!(self.name, self.labelled(values))
    }

    pub(crate) fn histogram<T: Into<SharedString>>(&self, values: [T; LABELS]) -> Histogram {
        metrics::histogram!(self.name, self.labelled(values))
    }

    fn labelled<T: Into<SharedString>>(&self, values: [T; LABELS]) -> Vec<Label> {
        let pairs = self.labels.iter().zip(values);
        pairs.map(|(name, value)| Label::new(*name, value)).collect()
    }
}

impl Description {
    /// Registers the help text with the current recorder.
    pub(crate) fn register(&self) {
        match self.form {
            Form::Counter => metrics::describe_counter!(self.name, self.help),
            Form::Gauge => metrics::describe_gauge!(self.name, self.help),
            Form::Histogram => metrics::describe_histogram!(self.name, self.help),
        }
    }
}
