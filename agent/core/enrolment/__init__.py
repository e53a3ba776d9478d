"""Enrolment: how a camera that nobody knows becomes one that the city vouches for."""
