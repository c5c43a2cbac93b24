"""Salesforce as the firm's CRM, REST API v62.0."""
