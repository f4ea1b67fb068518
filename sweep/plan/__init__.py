"""What is planned and what is recorded: plain values, no clock, no IO."""
