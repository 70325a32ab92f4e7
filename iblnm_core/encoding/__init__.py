"""The signal of one recording as a sum of responses to events and continuous regressors. Arrays and frames only."""
