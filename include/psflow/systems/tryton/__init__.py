"""Tryton 8.2 as the firm's ERP, over JSON-RPC."""
