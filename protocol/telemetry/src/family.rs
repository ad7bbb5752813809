use metrics::{Counter, Gauge, Histogram, Label, SharedString};

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// It only grows, and begins at zero with the process.
    Counter,
    /// It is what it is now.
    Gauge,
    /// Durations in seconds, in buckets.
    Histogram,
}

/// All series of one name, with a value for each label.
#[derive(Clone, Copy, Debug)]
pub struct Family<const LABELS: usize> {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) labels: [&'static str; LABELS],
    pub(crate) help: &'static str,
}

/// A family without its number of labels.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub form: Form,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
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
    pub(crate) fn tell(&self) {
        match self.form {
            Form::Counter => metrics::describe_counter!(self.name, self.help),
            Form::Gauge => metrics::describe_gauge!(self.name, self.help),
            Form::Histogram => metrics::describe_histogram!(self.name, self.help),
        }
    }
}
