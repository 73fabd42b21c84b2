"""The web page: a Streamlit application that speaks to the API over HTTP, through ``app.client`` alone."""
