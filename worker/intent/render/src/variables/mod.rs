//! The variables of a template: settings, and over them what is known about the device.
