"""Enrolment from the city's side: sites, work orders, and who gets a certificate."""
