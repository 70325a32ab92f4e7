"""Analyses of cohorts: functions of tables and arrays, which choose nothing and store nothing."""
