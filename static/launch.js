// Posts the ticket when the page has loaded.  Without scripts, the button does.
document.getElementById("launch").submit();
